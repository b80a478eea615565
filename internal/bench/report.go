package bench

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is all that a run has found: the JSON file, and the table from it.
type Report struct {
	StartedAt  time.Time                  `json:"startedAt"`
	TookMs     int64                      `json:"tookMs"`
	Short      bool                       `json:"short"` // sizes for which the goals are not meant
	Machine    Machine                    `json:"machine"`
	Postgres   map[string]string          `json:"postgres"` // version and the settings that matter
	Figures    []Figure                   `json:"figures"`
	Statements map[string]StatementReport `json:"statements"`      // by step
	Plans      map[string]Plan            `json:"plans,omitempty"` // by figure
	Notes      []string                   `json:"notes"`
	Errors     []string                   `json:"errors"`

	tell func(Figure) // hears of each figure as soon as there is one
}

// Machine is what the figures were taken on.
type Machine struct {
	OS    string  `json:"os"`
	Arch  string  `json:"arch"`
	Cores int     `json:"cores"`
	Go    string  `json:"go"`
	Load  float64 `json:"load"` // of the last minute before the start; -1 if unknown
}

// Figure is one line of the table.
type Figure struct {
	Key      string    `json:"key"`  // unique: P5.600.3.pending
	Name     string    `json:"name"` // of the step, which is the key's beginning: P5
	What     string    `json:"what"`
	Value    float64   `json:"value"`
	Unit     string    `json:"unit"`
	Lateness *Lateness `json:"lateness,omitempty"` // then Value is its p99
	Goal     string    `json:"goal,omitempty"`
	Ratio    *float64  `json:"ratio,omitempty"` // to what the goal speaks of
	Reached  *bool     `json:"reached,omitempty"`
	Skipped  string    `json:"skipped,omitempty"` // why there is no value
}

// step is the name of the figure's step.
func (f Figure) step() string {
	name, _, _ := strings.Cut(f.Key, ".")
	return name
}

// Missing tells that there is no value.
func (f Figure) Missing() bool { return f.Skipped != "" }

// StatementReport says which statements a step's load took.
type StatementReport struct {
	Per        string      `json:"per"` // what the figures are divided by: timer, or second and replica
	Statements []Statement `json:"statements"`
}

func newReport(cfg Config) *Report {
	return &Report{
		StartedAt: time.Now().UTC(), Short: cfg.Short,
		Machine: Machine{
			OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), Load: machineLoad(),
		},
		Postgres: map[string]string{}, Figures: []Figure{}, Statements: map[string]StatementReport{},
		Plans: map[string]Plan{}, Notes: []string{}, Errors: []string{},
	}
}

// machineLoad is the load average of the last minute, where there is /proc: a
// busy machine is the first thing to suspect of a poor figure.
func machineLoad() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return load
}

// add adds a figure.
func (r *Report) add(key, what string, value float64, unit string) {
	r.put(Figure{Key: key, What: what, Value: value, Unit: unit})
}

func (r *Report) put(f Figure) {
	f.Name = f.step()
	r.Figures = append(r.Figures, f)
	if r.tell != nil {
		r.tell(f)
	}
}

// skip adds the line of a figure that could not be taken.
func (r *Report) skip(key, what, why string) {
	r.put(Figure{Key: key, What: what, Skipped: why})
}

// note adds a remark once.
func (r *Report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// figure finds a figure by its key.
func (r *Report) figure(key string) *Figure {
	for i := range r.Figures {
		if r.Figures[i].Key == key {
			return &r.Figures[i]
		}
	}
	return nil
}

// judge holds the figures against their goals.
func (r *Report) judge() {
	r.TookMs = time.Since(r.StartedAt).Milliseconds()
	for i := range r.Figures {
		f := &r.Figures[i]
		g, ok := goalOf(f.Key)
		if !ok {
			continue
		}
		of := r.figure(g.of)
		f.Goal = g.text(*f, of)
		f.Ratio, f.Reached = g.judge(*f, of)
	}
}

// Missed lists the keys of the figures that do not reach their goal.
func (r *Report) Missed() []string {
	var missed []string
	for _, f := range r.Figures {
		if f.Reached != nil && !*f.Reached {
			missed = append(missed, f.Key)
		}
	}
	return missed
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
