package bench

import (
	"fmt"
	"math"
	"strings"
)

// goal is what a figure is to reach: a bound, or so many times another figure of
// the same run, so that a slow machine is asked for less.
type goal struct {
	key   string // of the figure
	must  relation
	bound float64
	of    string // the key of the other figure, or empty
}

type relation string

const (
	atLeast relation = "≥"
	atMost  relation = "≤"
	below   relation = "<"
)

func (r relation) holds(value, bound float64) bool {
	switch r {
	case atLeast:
		return value >= bound
	case atMost:
		return value <= bound
	default:
		return value < bound
	}
}

// goals is the table of the benchmark's issue. P10 is stated, and has none.
var goals = []goal{
	{"P1", atLeast, 0.4, "L1"},
	{"P2", atLeast, 10, "P1"},
	{"P3", atLeast, 0.5, "L2"},
	{"P4.small.received", atLeast, 0.5, "L3"},
	{"P4.small.recorded", atLeast, 0.5, "L3"},
	{"P4.large.received", atLeast, 0.5, "L3"},
	{"P4.large.recorded", atLeast, 0.5, "L3"},
	{"P5.p50", atMost, 5, ""},
	{"P5.p99", atMost, 25, ""},
	{"P5.min", atLeast, 0, ""},
	{"P6.p99", atMost, 2, "P5.p99"},
	{"P6.min", atLeast, 0, ""},
	{"P7.statements", atMost, 5, ""},
	{"P7.cpu", atMost, 1, ""},
	{"P7.memory", atMost, 80, ""},
	{"P8", atMost, 2, ""},
	{"P9", below, 5, ""},
	{"N.disturbed", atMost, 3, "N.undisturbed"},
}

// goalOf finds the goal of a figure, if it has one.
func goalOf(key string) (goal, bool) {
	for _, g := range goals {
		if g.key == key {
			return g, true
		}
	}
	return goal{}, false
}

// text is the goal as people read it.
func (g goal) text(f Figure, of *Figure) string {
	if g.of == "" {
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", g.must, number(g.bound), f.Unit))
	}
	text := fmt.Sprintf("%s %s × %s", g.must, number(g.bound), g.of)
	if of != nil {
		text += fmt.Sprintf(" = %s", number(g.bound*of.Value))
	}
	return text
}

// judge gives the ratio of the figure to what its goal speaks of, and whether it
// is reached. Without the other figure of the same run it gives neither.
func (g goal) judge(f Figure, of *Figure) (ratio *float64, reached *bool) {
	against, bound := g.bound, g.bound
	if g.of != "" {
		if of == nil || of.Missing() {
			return nil, nil
		}
		against, bound = of.Value, g.bound*of.Value
	}
	if f.Missing() {
		return nil, nil
	}
	ok := g.must.holds(f.Value, bound)
	if r := f.Value / against; !math.IsInf(r, 0) && !math.IsNaN(r) {
		ratio = &r
	}
	return ratio, &ok
}
