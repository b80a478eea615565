package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
)

// addJSON gives a command the --json flag.
func addJSON(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "write JSON, for programs")
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printLine writes one line of JSON, for streams.
func printLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printOne writes what became of one thing: a line of JSON, or else of text.
func printOne(cmd *cobra.Command, asJSON bool, v any, format string, args ...any) error {
	if asJSON {
		return printLine(cmd.OutOrStdout(), v)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return err
}

// printTable writes columns for people. Cells hold what callers wrote, so they
// are cleaned of what a terminal would obey.
func printTable(w io.Writer, header []string, rows [][]string) error {
	var text strings.Builder
	text.WriteString(strings.Join(header, "\t") + "\n")
	for _, row := range rows {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = printable(cell)
		}
		text.WriteString(strings.Join(clean, "\t") + "\n")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(t, text.String()); err != nil {
		return err
	}
	return t.Flush()
}

// say tells the user what goes on. A line that cannot be written is no reason to
// stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}

// printable replaces control characters: an escape sequence in a timer's name
// must not reach the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, s)
}

// short cuts a text to a number of characters.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// relative is an instant as people say it: "in 44m", "3s ago". Two units are
// enough to act upon.
func relative(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d > 0:
		return "in " + coarse(d)
	default:
		return coarse(-d) + " ago"
	}
}

// coarse keeps the two largest units: 2d3h, 4h10m, 5m20s, 9s.
func coarse(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		d = d.Truncate(time.Hour)
	case d >= time.Hour:
		d = d.Truncate(time.Minute)
	default:
		d = d.Truncate(time.Second)
	}
	return minoots.Duration(d).String()
}

// here is an instant in the reader's own zone.
func here(i minoots.Instant) string { return i.Local().Format("2006-01-02 15:04:05") }

func hereOrDash(i *minoots.Instant) string {
	if i == nil {
		return "-"
	}
	return here(*i)
}
