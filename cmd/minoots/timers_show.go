package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

var timerHeader = []string{"ID", "STATUS", "DUE", "WHEN", "LATENESS", "NAME", "LABELS"}

func timerRows(timers []minoots.Timer, now time.Time) [][]string {
	rows := make([][]string, len(timers))
	for i := range timers {
		t := &timers[i]
		rows[i] = []string{
			t.ID.String(), string(t.Status), here(t.FireAt), relative(t.FireAt.Time, now), lateness(t.LastFiring),
			short(t.Name, 32), short(labelText(t.Labels), 40),
		}
	}
	return rows
}

func lateness(f *minoots.Firing) string {
	if f == nil {
		return "-"
	}
	return strconv.FormatFloat(f.LatenessMs, 'f', 1, 64) + " ms"
}

func labelText(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

func printTimer(w io.Writer, t minoots.Timer, firings []minoots.Firing) error {
	rows := [][]string{
		{"status", string(t.Status)},
		{"name", t.Name},
		{"tenant", t.TenantID},
		{"due", here(t.FireAt) + " (" + relative(t.FireAt.Time, time.Now()) + ")"},
		{"created", here(t.CreatedAt) + orNothing(" by ", t.RequestedBy)},
		{"settled", hereOrDash(t.SettledAt)},
		{"labels", labelText(t.Labels)},
		{"metadata", short(string(t.Metadata), 200)},
	}
	if t.ActionBundle != nil {
		for _, a := range t.ActionBundle.Actions {
			rows = append(rows, []string{"action", a.ID + " (" + string(a.Kind) + ")"})
		}
	}
	if t.FailureReason != nil {
		rows = append(rows, []string{"failure", *t.FailureReason})
	}
	if t.CancelReason != nil {
		rows = append(rows, []string{"cancelled", *t.CancelReason})
	}
	if err := printTable(w, []string{"id", t.ID.String()}, rows); err != nil {
		return err
	}
	if len(firings) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	var lines [][]string
	for i := range firings {
		f := &firings[i]
		lines = append(lines, []string{strconv.Itoa(f.Occurrence), string(f.Status), here(f.DueAt), lateness(f), "", "", ""})
		for _, a := range f.Attempts {
			lines = append(lines, []string{
				"", string(a.Status), here(a.StartedAt), "", a.ActionID, strconv.Itoa(a.Attempt), attemptResult(a),
			})
		}
	}
	return printTable(w, []string{"FIRING", "STATUS", "AT", "LATENESS", "ACTION", "ATTEMPT", "RESULT"}, lines)
}

func attemptResult(a minoots.Attempt) string {
	switch {
	case a.HTTPStatus != nil && a.Error != nil:
		return fmt.Sprintf("HTTP %d: %s", *a.HTTPStatus, short(*a.Error, 80))
	case a.HTTPStatus != nil:
		return fmt.Sprintf("HTTP %d", *a.HTTPStatus)
	case a.Error != nil:
		return short(*a.Error, 80)
	default:
		return ""
	}
}

func orNothing(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
