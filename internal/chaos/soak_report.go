package chaos

import (
	"fmt"
	"time"

	"github.com/minoots/minoots/db"
)

// SoakReport is all that a soak has found.
type SoakReport struct {
	StartedAt time.Time `json:"startedAt"`
	TookMs    int64     `json:"tookMs"`
	ForMs     int64     `json:"forMs"`
	Rate      int       `json:"rate"`
	Seed      uint64    `json:"seed"`
	ledgerSums
	Lost           int                `json:"lost"`
	Missing        []string           `json:"missing,omitempty"` // some of those that are lost
	Distant        int                `json:"distant"`           // still scheduled at the end, as they should be
	GivenUp        int                `json:"givenUp"`           // creations
	API            map[string]int     `json:"api,omitempty"`     // requests that failed, by how
	LateMs         map[string]float64 `json:"lateMs"`            // at the receiver, faults and all
	Faults         map[string]int     `json:"faults"`
	Removed        int64              `json:"removed"` // timers, by retention
	Trends         []Trend            `json:"trends"`
	HistoryMB      float64            `json:"historyMB"`
	HistoryAfterMB float64            `json:"historyAfterMB"`
	AuditLooked    int64              `json:"auditLooked"`
	Audit          []db.AuditCheck    `json:"audit"`
	Samples        []sample           `json:"samples"`
	Notes          []string           `json:"notes,omitempty"`
	Broken         []string           `json:"broken,omitempty"`

	row Row // of the world; its promises are the soak's
}

// addsUp tells that each acknowledged timer is accounted for, once.
func (r *SoakReport) addsUp() bool {
	return r.Acknowledged == r.Delivered+r.Cancelled+r.Doubtful+r.Distant+r.Lost
}

// Lines is the report for people.
func (r *SoakReport) Lines() []string {
	lines := []string{
		fmt.Sprintf("%d timers acknowledged: %d delivered, %d cancelled, %d maybe, %d due in a year; %d lost, %d early, %d deliveries repeated, %d retried",
			r.Acknowledged, r.Delivered, r.Cancelled, r.Doubtful, r.Distant, r.Lost, r.Early, r.Repeated, r.Retried),
		fmt.Sprintf("faults %v; API requests that failed %v; creations given up %d", r.Faults, r.API, r.GivenUp),
		fmt.Sprintf("late at the receiver: p50 %.1f ms, p99 %.1f ms, at most %.0f ms", r.LateMs["p50"], r.LateMs["p99"], r.LateMs["max"]),
		fmt.Sprintf("audit: %d checks looked at %d rows; retention removed %d timers", len(r.Audit), r.AuditLooked, r.Removed),
	}
	for _, t := range r.Trends {
		lines = append(lines, t.String())
	}
	lines = append(lines, r.Notes...)
	for _, broken := range r.Broken {
		lines = append(lines, "BROKEN: "+broken)
	}
	return lines
}
