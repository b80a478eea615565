package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Report is all that a run has found.
type Report struct {
	StartedAt time.Time `json:"startedAt"`
	TookMs    int64     `json:"tookMs"`
	Short     bool      `json:"short"`
	Seed      uint64    `json:"seed"`
	Rate      int       `json:"rate"` // timers due in a second
	Rows      []Row     `json:"rows"`
}

// Row is what one scenario found.
type Row struct {
	Name         string  `json:"name"`
	What         string  `json:"what"`
	Acknowledged int     `json:"acknowledged"` // timers
	Delivered    int     `json:"delivered"`    // of those, with all their actions
	Lost         int     `json:"lost"`         // of those, not
	Early        int     `json:"early"`        // deliveries before their time
	Repeated     int     `json:"repeated"`     // deliveries beyond the first
	LatestMs     float64 `json:"latestMs"`     // greatest lateness at the receiver
	RecoverMs    float64 `json:"recoverMs"`    // from a fault's end to the last delivery later than 250 ms
	// Where lost or unsettled timers were found, by what the database says of them.
	Missing map[string]int `json:"missing,omitempty"`
	// API counts the requests that failed, by how.
	API    map[string]int `json:"api,omitempty"`
	Notes  []string       `json:"notes,omitempty"`
	Broken []string       `json:"broken,omitempty"` // promises
	NotRun string         `json:"notRun,omitempty"` // why
	TookMs int64          `json:"tookMs"`
}

// Held tells that the scenario was run and no promise was broken.
func (r Row) Held() bool { return r.NotRun == "" && len(r.Broken) == 0 }

func (r *Row) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// must takes note of a promise that was broken.
func (r *Row) must(holds bool, format string, args ...any) {
	if !holds {
		r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
	}
}

const lineFormat = "%-14s %8s %9s %5s %5s %8s %9s %9s  %s"

// Head is the line above the rows.
func Head() string {
	return fmt.Sprintf(lineFormat, "SCENARIO", "ACKED", "DELIVERED", "LOST", "EARLY", "REPEATED", "LATEST", "RECOVERY", "")
}

// Line is the row for people.
func (r Row) Line() string {
	if r.NotRun != "" {
		return fmt.Sprintf("%-14s not run: %s", r.Name, r.NotRun)
	}
	verdict := "ok"
	if len(r.Broken) > 0 {
		verdict = "BROKEN: " + strings.Join(r.Broken, "; ")
	}
	number := func(n int) string { return fmt.Sprint(n) }
	ms := func(v float64) string { return fmt.Sprintf("%.0f ms", v) }
	return fmt.Sprintf(lineFormat, r.Name, number(r.Acknowledged), number(r.Delivered), number(r.Lost), number(r.Early),
		number(r.Repeated), ms(r.LatestMs), ms(r.RecoverMs), verdict)
}

// Count gives how many scenarios broke a promise, and how many were not run.
func (r *Report) Count() (broken, notRun int) {
	for _, row := range r.Rows {
		switch {
		case row.NotRun != "":
			notRun++
		case !row.Held():
			broken++
		}
	}
	return broken, notRun
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(file string) error { return writeJSON(file, r) }

// WriteJSON writes the report to a file.
func (r *SoakReport) WriteJSON(file string) error { return writeJSON(file, r) }

func writeJSON(file string, report any) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
