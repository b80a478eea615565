package minoots_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/migrations"
)

// legal lists the table of transitions as "scheduled --> fired", sorted.
func legal() []string {
	var all []string
	for _, from := range minoots.Statuses {
		for _, to := range minoots.Statuses {
			if from.CanBecome(to) {
				all = append(all, string(from)+" --> "+string(to))
			}
		}
	}
	slices.Sort(all)
	return all
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{
		"failed --> scheduled",
		"failed --> settled",
		"fired --> failed",
		"fired --> settled",
		"paused --> cancelled",
		"paused --> scheduled",
		"scheduled --> cancelled",
		"scheduled --> fired",
		"scheduled --> paused",
		"scheduled --> settled",
		"settled --> scheduled",
	}, legal())
}

// From a terminal status nothing leads on but a replay and a redrive, for which
// somebody must ask: from cancelled nothing at all. And nothing leads into or out
// of armed, which no row can be.
func TestTerminalHasNoWayOut(t *testing.T) {
	t.Parallel()
	for _, s := range minoots.Statuses {
		onward := slices.ContainsFunc(minoots.Statuses, func(to minoots.Status) bool {
			replayed := s.Terminal() && to == minoots.StatusScheduled
			redriven := s == minoots.StatusFailed && to == minoots.StatusSettled
			return s.CanBecome(to) && !replayed && !redriven
		})
		assert.NotEqual(t, onward, s.Terminal(), "%s", s)
		assert.False(t, minoots.StatusCancelled.CanBecome(s), "%s", s)
		assert.False(t, s.CanBecome(s), "%s", s)
		assert.False(t, s.CanBecome(minoots.StatusArmed) || minoots.StatusArmed.CanBecome(s), "%s", s)
	}
	assert.NotContains(t, minoots.Statuses, minoots.StatusArmed)
}

// The CHECK constraints let in what Go knows, and nothing else.
func TestStatusesAreTheCheckConstraints(t *testing.T) {
	t.Parallel()
	schema, err := fs.ReadFile(migrations.FS, "00001_core.sql")
	require.NoError(t, err)
	assert.ElementsMatch(t, minoots.Statuses, checked[minoots.Status](t, schema, "timer_states_status"))
	assert.ElementsMatch(t, minoots.FiringStatuses, checked[minoots.FiringStatus](t, schema, "firings_status"))
	assert.ElementsMatch(t,
		[]minoots.AttemptStatus{minoots.AttemptSucceeded, minoots.AttemptRetrying, minoots.AttemptFailed},
		checked[minoots.AttemptStatus](t, schema, "attempts_status"))
}

// checked reads CONSTRAINT name CHECK (status IN ('a', 'b')).
func checked[S ~string](t *testing.T, schema []byte, name string) []S {
	t.Helper()
	found := regexp.MustCompile(`CONSTRAINT ` + name + ` CHECK \(status IN\s*\(([^)]*)\)\)`).FindSubmatch(schema)
	require.NotNil(t, found, "no constraint %s", name)
	var all []S
	for part := range strings.SplitSeq(string(found[1]), ",") {
		all = append(all, S(strings.Trim(strings.TrimSpace(part), "'")))
	}
	return all
}

// The diagram of docs/concepts.md has one line for each transition, in the form
//
//	scheduled --> fired
//
// or "scheduled --> fired: due". Lines with [*] are the beginning and the end.
func TestTransitionsAreTheDiagram(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/concepts.md")
	require.NoError(t, err, "docs/concepts.md is to have the diagram of a timer's life")
	assert.Equal(t, legal(), drawn(string(page)))
}

func TestDrawn(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"fired --> settled", "scheduled --> fired"}, drawn(
		"scheduled --> paused\n```mermaid\nstateDiagram-v2\n  [*] --> scheduled\n"+
			"  scheduled --> fired: due\n  fired --> settled\n  settled --> [*]\n```\nfired --> failed\n"))
	assert.Empty(t, drawn("```mermaid\nflowchart LR\n  api --> db\n```"), "a diagram of other things")
}

// drawn lists the arrows between statuses in the mermaid blocks of a page.
func drawn(page string) []string {
	var all []string
	arrow := regexp.MustCompile(`(?m)^\s*(\w+) --> (\w+)\s*(?::.*)?$`)
	for _, block := range regexp.MustCompile("(?s)```mermaid\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for _, found := range arrow.FindAllStringSubmatch(block[1], -1) {
			if slices.Contains(minoots.Statuses, minoots.Status(found[1])) && slices.Contains(minoots.Statuses, minoots.Status(found[2])) {
				all = append(all, found[1]+" --> "+found[2])
			}
		}
	}
	slices.Sort(all)
	return all
}
