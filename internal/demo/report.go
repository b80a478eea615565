package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const clock = "15:04:05.000"

// Print shows the table, what is wrong, and the summary line. Lateness is p50 and
// maximum in milliseconds: of the fire transaction, by Postgres's clock, and of
// the first request, at the receiver.
func (r Report) Print(w io.Writer) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = io.WriteString(t, strings.Join(cells, "\t")+"\n") } // into memory
	row("SHAPE", "TIMERS", "DUE", "RECEIVED", "FIRED LATE", "RECEIVED LATE", "ARRIVED", "ATTEMPTS", "STATUS")
	for _, s := range r.Shapes {
		row(s.Shape, strconv.Itoa(s.Timers), span(s.FirstDue, s.LastDue), s.received(),
			late(s.fired), late(s.lateness), s.arrived(), s.attempts(), s.Statuses)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	text.WriteString("\n")
	for _, fault := range r.Faults {
		text.WriteString("WRONG: " + fault + "\n")
	}
	text.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, text.String())
	return err
}

// Summary is the one line.
func (r Report) Summary() string {
	return fmt.Sprintf("demo: %d timers, %d delivered, lost %d, early %d, bad signatures %d, repeated %d, p50 %.1f ms, p99 %.1f ms",
		r.Timers, r.Delivered, r.Lost, r.Early, r.BadSignatures, r.Repeated, r.P50Ms, r.P99Ms)
}

func (row Row) received() string {
	if row.FirstReceived == nil {
		return "-"
	}
	return span(*row.FirstReceived, *row.LastReceived)
}

func late(ms []float64) string {
	switch len(ms) {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.1f ms", ms[0])
	default:
		return fmt.Sprintf("%.1f–%.1f ms", percentile(ms, 50), percentile(ms, 100))
	}
}

func (row Row) arrived() string {
	if row.Expected == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", row.Delivered, row.Expected)
}

func (row Row) attempts() string {
	if row.Attempts == 0 {
		return "-"
	}
	return strconv.Itoa(row.Attempts)
}

// span is one time, or two with what they have in common left out of the second.
func span(from, to time.Time) string {
	a, b := from.Local().Format(clock), to.Local().Format(clock)
	if a == b {
		return a
	}
	if a[:6] == b[:6] { // the same minute
		b = b[6:]
	}
	return a + "–" + b
}
