package bench

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteTable prints the figures, and below them which statements they took.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	r.writeHead(&b)
	rows := [][]string{{"", "WHAT", "FIGURE", "UNIT", "GOAL", "RATIO", ""}}
	for _, f := range r.Figures {
		rows = append(rows, f.cells())
	}
	writeColumns(&b, rows, 2, 5)
	for _, name := range slices.Sorted(maps.Keys(r.Statements)) {
		r.Statements[name].write(&b, name)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Plans)) {
		r.Plans[key].write(&b, key)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(&b, "note: "+n)
	}
	for _, e := range r.Errors {
		fmt.Fprintln(&b, "FAILED: "+e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeHead says what the figures were taken on, without which they are none.
func (r *Report) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "%d cores, %s/%s", r.Machine.Cores, r.Machine.OS, r.Machine.Arch)
	if version := r.Postgres["version"]; version != "" { // not that of a deployment
		b.WriteString(", PostgreSQL " + version)
	}
	if r.Machine.Load >= 0 {
		fmt.Fprintf(b, ", load %.2f before the start", r.Machine.Load)
	}
	if r.Short {
		b.WriteString(", SHORT sizes: the goals are for the full ones")
	}
	b.WriteString("\n\n")
}

// cells are the figure's line.
func (f Figure) cells() []string {
	cells := []string{f.Name, f.What, f.figure(), f.Unit, f.Goal, "", ""}
	if f.Ratio != nil {
		cells[5] = number(*f.Ratio)
	}
	switch {
	case f.Reached != nil && *f.Reached:
		cells[6] = "ok"
	case f.Reached != nil:
		cells[6] = "MISSED"
	case f.Goal != "":
		cells[6] = "-"
	}
	return cells
}

// figure is the value as people read it.
func (f Figure) figure() string {
	switch {
	case f.Missing():
		return "(" + f.Skipped + ")"
	case f.Lateness != nil:
		return f.Lateness.String()
	default:
		return number(f.Value)
	}
}

// number keeps three digits, and all of them left of the point: 12,345; 98.7;
// 1.23; 0.0456.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', min(decimals, 4), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return thousands(text)
}

// thousands puts commas between groups of three digits left of the point.
func thousands(text string) string {
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimPrefix(whole, "-")
	sign := whole[:len(whole)-len(digits)]
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if fraction != "" {
		digits += "." + fraction
	}
	return sign + digits
}

// writeColumns aligns the cells; the columns named are aligned to the right.
func writeColumns(b *strings.Builder, rows [][]string, right ...int) {
	widths := map[int]int{}
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if slices.Contains(right, i) {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// write prints a step's statements, the dearest first.
func (s StatementReport) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n%s by statement, per %s\n", name, s.Per)
	rows := [][]string{{"  CALLS", "ROWS", "MS", "WAL BYTES", "STATEMENT"}}
	for _, st := range s.Statements {
		rows = append(rows, []string{number(st.Calls), number(st.Rows), number(st.Ms), number(math.Round(st.WALBytes)), st.Name})
	}
	writeColumns(b, rows, 0, 1, 2, 3)
}
