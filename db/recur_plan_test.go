package db_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What a re-arm writes is found by keys, and what it is given is matched without
// trying each with each.
func TestPlanOfRearm(t *testing.T) {
	t.Parallel()
	p := newPlans(t)
	const n = 100
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "01900000-0000-7000-8000-000000000002"
	}
	numbers, now := make([]int64, n), time.Now()
	args := []any{
		ids, slices.Repeat([]string{tenant}, n), make([]int32, n), make([]int16, n), slices.Repeat([]string{"scheduled"}, n),
		slices.Repeat([]time.Time{now}, n), slices.Repeat([]time.Time{now}, n), make([]bool, n), make([]*string, n),
		numbers, make([]int32, n), slices.Repeat([]time.Time{now}, n), slices.Repeat([]string{"running"}, n), make([]*string, n), now,
	}
	for _, mode := range []string{generic, custom} {
		plan := p.explain(t, "timer_rearm", "", mode, args)
		p.check(t, "timer_rearm "+mode, plan, "timer_states_pkey")
		assert.False(t, pairsUp(plan), "%s: each with each", mode)
		plan = p.explain(t, "timer_claim", "", mode, []any{time.Time{}, 500, nil})
		assert.False(t, pairsUp(plan), "timer_claim %s: each with each", mode)
	}
}

// pairsUp tells whether a plan has a nested loop of two scans without an index.
func pairsUp(plan *node) bool {
	return slices.ContainsFunc(plan.all(), func(n *node) bool {
		return n.Type == "Nested Loop" && !slices.ContainsFunc(n.all(), func(in *node) bool { return in.Index != "" })
	})
}
