package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/minoots/minoots/db"
)

// Plan is how Postgres went about a statement, from EXPLAIN ANALYZE.
type Plan struct {
	What    string          `json:"what"`
	Ms      float64         `json:"ms"` // planning and execution
	Rows    float64         `json:"rows"`
	Buffers int64           `json:"buffers"` // pages of 8 KiB, from memory or not
	Read    int64           `json:"read"`    // of them, not from Postgres' memory
	Scans   []Scan          `json:"scans"`   // that were run
	Plan    json.RawMessage `json:"plan"`
}

// Scan is one that a plan read rows by.
type Scan struct {
	Kind    string  `json:"kind"`
	Table   string  `json:"table,omitempty"`
	Index   string  `json:"index,omitempty"`
	Rows    float64 `json:"rows"` // in all loops
	Loops   float64 `json:"loops"`
	Buffers int64   `json:"buffers"`
}

// planNode is what is read of EXPLAIN's nodes.
type planNode struct {
	Type      string     `json:"Node Type"`
	Relation  string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	Rows      float64    `json:"Actual Rows"`
	Loops     float64    `json:"Actual Loops"`
	SharedHit int64      `json:"Shared Hit Blocks"`
	SharedIn  int64      `json:"Shared Read Blocks"`
	Plans     []planNode `json:"Plans"`
}

// explain puts the plan of the list by labels into the report.
func (l *lab) explain(ctx context.Context, d *database, tenant, what string, labels map[string]string) error {
	conn, err := db.Connect(ctx, db.Config{URL: d.url, Name: "bench-explain", MaxConns: 1})
	if err != nil {
		return err
	}
	defer conn.Close()
	text, err := conn.TimerPagePlan(ctx, tenant, db.TimerPageRequest{TimerFilter: db.TimerFilter{Labels: labels}, Limit: 101})
	if err != nil {
		return fmt.Errorf("explain the list by label: %w", err)
	}
	plan, err := readPlan(text)
	if err != nil {
		return err
	}
	plan.What = what
	l.report.Plans["F.label"] = plan
	return nil
}

// readPlan reads what EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) gives.
func readPlan(text []byte) (Plan, error) {
	var explained []struct {
		Plan      planNode
		Planning  float64 `json:"Planning Time"`
		Execution float64 `json:"Execution Time"`
	}
	if err := json.Unmarshal(text, &explained); err != nil || len(explained) != 1 {
		return Plan{}, fmt.Errorf("read a plan of %d bytes: %w", len(text), err)
	}
	top := explained[0].Plan
	p := Plan{
		Ms: explained[0].Planning + explained[0].Execution, Rows: top.Rows,
		Buffers: top.SharedHit + top.SharedIn, Read: top.SharedIn, Plan: text,
	}
	top.scans(&p.Scans)
	slices.SortStableFunc(p.Scans, func(a, b Scan) int { return int(b.Buffers - a.Buffers) })
	return p, nil
}

// scans collects what was run of a node and of those below it.
func (n *planNode) scans(into *[]Scan) {
	if strings.Contains(n.Type, "Scan") && (n.Relation != "" || n.Index != "") && n.Loops > 0 {
		*into = append(*into, Scan{n.Type, n.Relation, n.Index, n.Rows * n.Loops, n.Loops, n.SharedHit + n.SharedIn})
	}
	for i := range n.Plans {
		n.Plans[i].scans(into)
	}
}

// write prints the plan's scans, those with the most buffers first.
func (p Plan) write(b *strings.Builder, key string) {
	fmt.Fprintf(b, "\n%s by plan: %s rows, %s buffers (%s of them read), %s ms\n",
		key, number(p.Rows), number(float64(p.Buffers)), number(float64(p.Read)), number(p.Ms))
	rows := [][]string{{"  ROWS", "LOOPS", "BUFFERS", "SCAN", "OF"}}
	for _, s := range p.Scans {
		of := s.Index
		if of == "" {
			of = s.Table
		}
		rows = append(rows, []string{number(s.Rows), number(s.Loops), number(float64(s.Buffers)), s.Kind, of})
	}
	writeColumns(b, rows, 0, 1, 2)
}
