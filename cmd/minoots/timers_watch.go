package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

func newTimersWatch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [ID...]",
		Short: "Follow timers as they fire",
		Long: "On a terminal, a table that is drawn again and again. Otherwise one line for each change, with\n" +
			"--json one JSON document a line. With ids it ends when those timers are over; without, it\n" +
			"follows the timers that the flags choose, by due time, until Ctrl-C.",
		Example: "  minoots timers watch --label session=s-17\n" +
			"  minoots timers watch 01890a5d-ac96-774b-bcce-b302099a8057 --json",
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	filter := timerFilter(cmd.Flags())
	every := cmd.Flags().Duration("every", time.Second, "how often to look")
	limit := cmd.Flags().Int("limit", 20, "how many timers to follow, 1000 at most")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		f, err := filter()
		if err != nil {
			return err
		}
		switch {
		case *limit < 1 || *limit > 1000:
			return misuse("--limit %d: want 1 to 1000", *limit)
		case *every < 100*time.Millisecond:
			return misuse("--every %s: want 100ms or more", *every)
		}
		f.PageSize = *limit
		if f.DueAfter.IsZero() {
			f.DueAfter = time.Now().Add(-time.Minute) // what is long over is for list
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		w := &watch{client: c, ids: ids, filter: f, out: cmd.OutOrStdout(), seen: map[minoots.ID]int64{}}
		switch {
		case *asJSON:
			w.show = w.jsonLines
		case isTerminal(w.out):
			w.show = w.redraw
		default:
			w.show = w.lines
		}
		return w.run(cmd.Context(), *every)
	}
	return cmd
}

// watch follows timers by reading them again and again.
type watch struct {
	client *client.Client
	ids    []minoots.ID
	filter client.TimerFilter
	out    io.Writer
	show   func([]minoots.Timer) error
	seen   map[minoots.ID]int64 // versions that were shown
}

func (w *watch) run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		timers, err := w.read(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // Ctrl-C is how a watch ends
		case err != nil:
			return err
		}
		if err := w.show(timers); err != nil {
			return err
		}
		if len(w.ids) > 0 && allOver(timers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *watch) read(ctx context.Context) ([]minoots.Timer, error) {
	if len(w.ids) == 0 {
		page, err := w.client.ListTimers(ctx, w.filter)
		return page.Items, err
	}
	var timers []minoots.Timer
	for _, id := range w.ids {
		t, err := w.client.GetTimer(ctx, id)
		if err != nil {
			return nil, err
		}
		timers = append(timers, t)
	}
	return timers, nil
}

func allOver(timers []minoots.Timer) bool {
	for i := range timers {
		if !timers[i].Status.Terminal() {
			return false
		}
	}
	return true
}

// changed gives the timers that differ from what was shown before.
func (w *watch) changed(timers []minoots.Timer) []minoots.Timer {
	var out []minoots.Timer
	for _, t := range timers {
		if w.seen[t.ID] != t.Version {
			w.seen[t.ID] = t.Version
			out = append(out, t)
		}
	}
	return out
}

func (w *watch) jsonLines(timers []minoots.Timer) error {
	for _, t := range w.changed(timers) {
		if err := printLine(w.out, t); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) lines(timers []minoots.Timer) error {
	for _, t := range w.changed(timers) {
		if _, err := fmt.Fprintf(w.out, "%s %s %s due %s lateness %s %s\n", time.Now().Format("15:04:05"),
			t.ID, t.Status, here(t.FireAt), lateness(t.LastFiring), printable(t.Name)); err != nil {
			return err
		}
	}
	return nil
}

// What the terminal is told: go home and clear, and cut long lines at the edge
// rather than wrap them, so that its width need not be known.
const (
	clearScreen = "\x1b[H\x1b[2J"
	wrapOff     = "\x1b[?7l"
	wrapOn      = "\x1b[?7h"
)

// redraw writes a whole frame at once, so that it does not flicker.
func (w *watch) redraw(timers []minoots.Timer) error {
	now := time.Now()
	var frame bytes.Buffer
	frame.WriteString(clearScreen + wrapOff)
	fmt.Fprintf(&frame, "%d timers at %s, Ctrl-C ends\n\n", len(timers), now.Format("15:04:05"))
	if err := printTable(&frame, timerHeader, timerRows(timers, now)); err != nil {
		return err
	}
	frame.WriteString(wrapOn)
	_, err := w.out.Write(frame.Bytes())
	return err
}
