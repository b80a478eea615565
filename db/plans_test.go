package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	p := newPlans(t)
	t.Run("hot statements", p.testHot)
	t.Run("pages", p.testPages)
	t.Run("changes of many", p.testBulk)
	t.Run("outcomes", p.testOutcomes)
	t.Run("dead letters", p.testDeadLetters)
	t.Run("the checks see a bad plan", func(t *testing.T) {
		p.sql["bad"] = "SELECT id FROM minoots.timer_states WHERE cancel_reason = $1"
		plan := p.explain(t, "bad", "", custom, []any{"x"})
		assert.Equal(t, []string{"reads all of timer_states", "does not use timer_states_due, but []"},
			p.problems(plan, "timer_states_due"))
		plan.Cost = dear + 1
		assert.Contains(t, p.problems(plan), "costs 10001")
	})
	t.Run("hot statements, told of 20 million timers", func(t *testing.T) {
		_, err := p.conn.Exec(t.Context(), `
			UPDATE pg_class SET reltuples = reltuples * 100 WHERE relnamespace = 'minoots'::regnamespace AND relname ~ '^timer'`)
		require.NoError(t, err)
		p.testHot(t)
	})
}

// The hot statements find what they need by the indexes that were made for them.
func (p *plans) testHot(t *testing.T) {
	now := time.Now()
	const id = "01900000-0000-7000-8000-000000000002"
	claims := []string{"timer_states_due", "timer_states_pkey", "timers_pkey"}
	jobs := []string{"river_job_prioritized_fetching_index", "river_job_pkey"}
	for _, c := range []struct {
		noun    string
		args    []any
		indexes []string
	}{
		{"timer_claim", []any{now.Add(-time.Minute), 500, nil}, claims},
		{"timer_claim", []any{time.Time{}, 500, nil}, claims},
		{"timer_claim", []any{time.Time{}, 10_000, nil}, claims},
		{"timer_next", []any{now.Add(-time.Minute)}, claims[:1]},
		{"timer_upcoming", []any{now, now.Add(30 * time.Second), 10_000}, claims[:1]},
		{"timer_backlog", []any{100_000}, claims[:1]},
		{"timer_get", []any{id, tenant}, claims[1:]},
		{"timer_cancel", []any{id, tenant, nil, nil}, claims[1:2]},
		{"firing_page", []any{id, tenant, 0, 100}, nil},
		{"key_find", []any{make([]byte, 32)}, []string{"api_keys_hash_key"}},
		{"key_page", []any{tenant, id, 100}, []string{"api_keys_tenant"}},
		{"idempotency_find", []any{tenant, "key-17"}, []string{"idempotency_keys_pkey"}},
		{"job_redispatch", []any{[]string{"gone"}, 5, "lost"}, jobs},
		{"job_worn", []any{[]string{"gone"}, 5, 100}, jobs[:1]},
		{"job_revive", []any{100}, jobs},
	} {
		for _, mode := range []string{generic, custom} {
			plan := p.explain(t, c.noun, "", mode, c.args)
			p.check(t, c.noun+" "+mode, plan, c.indexes...)
			if c.noun == "timer_upcoming" {
				assert.True(t, slices.ContainsFunc(plan.all(), func(n *node) bool { return n.Type == "Index Only Scan" }),
					"the heap is read from the index alone")
			}
		}
	}
}

// A plan that was made while a table was empty is kept, and meets the storm. So
// the pools' connections shun reading tables whole even then.
func TestPlansOfEmptyTables(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	p := &plans{conn: direct(t, database.URL), sql: statements(t), big: []string{"timers", "timer_states", "river_job"}}
	var seqScan, jit string
	require.NoError(t, d.Pool().QueryRow(t.Context(), "SELECT current_setting('enable_seqscan'), current_setting('jit')").Scan(&seqScan, &jit))
	_, err := p.conn.Exec(t.Context(), fmt.Sprintf("SET enable_seqscan = %s; SET jit = %s", seqScan, jit))
	require.NoError(t, err)
	for noun, args := range map[string][]any{
		"timer_claim":         {time.Time{}, 500, nil},
		"timer_get":           {minoots.ID{}.String(), tenant},
		"timer_cancel":        {minoots.ID{}.String(), tenant, nil, nil},
		"outcome_record":      outcomeArgs([]int64{1}, []string{minoots.ID{}.String()}, []time.Time{time.Now()}),
		"job_release":         {"replica", []int64{1}, []string{"webhook"}},
		"job_resolve":         {"1000"},
		"lane_page":           {},
		"job_hold":            {"replica", []int64{1}, []int16{1}, []string{"held-1-x"}},
		"destination_take":    {"held-1-x", 50, "replica", 30.0},
		"destination_close":   {"acme", "https://a"},
		"destination_release": {"held-1-x", 1000},
		"destination_page":    {"acme", "", 100, nil},
	} {
		for _, mode := range []string{generic, custom} {
			p.check(t, noun+" "+mode, p.explain(t, noun, "", mode, args))
		}
	}
	assert.Equal(t, "off", jit, "compiling costs 100 ms, more than any of them")
}

// A page reads what its filters leave and little more, whatever they are: the index
// that was made for each, and no more rows than a bound.
func (p *plans) testPages(t *testing.T) {
	now := time.Now()
	const few = 1000 // for fewTimers, since the crowd is a fiftieth of what that is for
	for name, c := range map[string]struct {
		set  map[int]any // the parameters that are not NULL
		want []string    // indexes
		rows float64     // that any part of the plan may give, at most
	}{
		"first page":             {nil, []string{"timer_states_waiting", "timer_states_rest"}, 150},
		"after":                  {map[int]any{2: now, 3: "01900000-0000-7000-8000-000000000002"}, []string{"timer_states_waiting"}, 150},
		"small":                  {map[int]any{1: "tenant-7"}, []string{"timer_states_waiting"}, 150},
		"none":                   {map[int]any{1: "tenant-x"}, []string{"timer_states_waiting"}, 1},
		"scheduled":              {map[int]any{4: []string{"scheduled"}}, []string{"timer_states_waiting"}, 100},
		"paused":                 {map[int]any{4: []string{"paused"}}, []string{"timer_states_paused"}, 1000},
		"failed":                 {map[int]any{4: []string{"failed"}}, []string{"timer_states_failed"}, 1000},
		"cancelled":              {map[int]any{4: []string{"cancelled"}}, []string{"timer_states_cancelled"}, 1000},
		"failed or waiting":      {map[int]any{4: []string{"scheduled", "failed"}}, []string{"timer_states_waiting", "timer_states_failed"}, 1000},
		"fired":                  {map[int]any{4: []string{"fired"}}, []string{"timer_states_rest"}, 150},
		"armed":                  {map[int]any{4: []string{"armed"}}, nil, 1},
		"dueAfter":               {map[int]any{9: now.Add(time.Hour)}, []string{"timer_states_waiting"}, 150},
		"dueBefore":              {map[int]any{10: now.Add(-time.Hour)}, []string{"timer_states_waiting"}, 150},
		"name":                   {map[int]any{5: "name-48"}, []string{"timers_name_prefix"}, 100},
		"name, small":            {map[int]any{1: "tenant-7", 5: "name-48"}, []string{"timers_name_prefix"}, 1},
		"prefix":                 {map[int]any{6: "name-48%"}, []string{"timers_name_prefix"}, few},
		"prefix of all":          {map[int]any{6: "name%", 4: []string{"scheduled"}}, []string{"timers_name_prefix", "timer_states_waiting"}, few},
		"requestedBy":            {map[int]any{7: "agent-50"}, []string{"timers_requested_by"}, 100},
		"label":                  {map[int]any{8: `{"session": "s-4"}`}, []string{"timers_tenant_labels"}, 100},
		"label, paused":          {map[int]any{8: `{"session": "s-4"}`, 4: []string{"paused"}}, []string{"timers_tenant_labels"}, 100},
		"label, none":            {map[int]any{8: `{"session": "s-5"}`}, []string{"timers_tenant_labels"}, 1},
		"label that many have":   {map[int]any{8: `{"many": "yes"}`, 4: []string{"scheduled"}}, []string{"timers_tenant_labels", "timer_states_waiting"}, few},
		"label of other tenants": {map[int]any{1: "tenant-7", 8: `{"many": "yes"}`}, []string{"timers_tenant_labels"}, 1},
	} {
		args := []any{tenant, nil, "00000000-0000-0000-0000-000000000000", nil, nil, nil, nil, nil, nil, nil, 100, few}
		for n, v := range c.set {
			args[n-1] = v
		}
		plan := p.explain(t, "timer_page", ", ANALYZE", custom, args)
		p.check(t, "timer_page "+name, plan, c.want...)
		most := 0.0
		for _, n := range plan.all() {
			if n.Type != "BitmapAnd" && n.Type != "Bitmap Index Scan" {
				most = max(most, n.Rows+n.Removed)
			}
		}
		assert.LessOrEqual(t, most, c.rows, "%s: rows read", name)
	}
}

// Changes of many read what an index leaves few of, and no more than a stretch of
// what it does not, whatever the filter.
func (p *plans) testBulk(t *testing.T) {
	const bound = 1000
	for name, set := range map[string]map[int]any{
		"all":    nil,
		"prefix": {5: "%"},
		"label":  {7: `{"of": "nobody"}`},
		"due":    {8: time.Now().Add(-time.Hour)},
	} {
		args := []any{tenant, "00000000-0000-0000-0000-000000000000", []string{"scheduled", "paused"}, nil, nil, nil, nil, nil, nil, false, 100, bound}
		for n, v := range set {
			args[n-1] = v
		}
		for noun, index := range map[string]string{"timer_bulk_find": "", "timer_bulk_walk": "timer_states_pkey"} {
			plan := p.explain(t, noun, ", ANALYZE", custom, args)
			for _, n := range plan.all() {
				if n.Type != "BitmapAnd" && n.Type != "Bitmap Index Scan" {
					assert.LessOrEqual(t, n.Rows+n.Removed, 2.0*bound, "%s %s: rows read by %s of %s", noun, name, n.Type, n.Relation)
				}
			}
			if index != "" {
				p.check(t, noun+" "+name, plan, index)
			}
		}
	}
}

// A page of dead letters is read in its order, by its timer, or by a narrow time.
func (p *plans) testDeadLetters(t *testing.T) {
	_, err := p.conn.Exec(t.Context(), `
		INSERT INTO minoots.dead_letters (timer_id, due_at, occurrence, attempts, tenant_id, action_id, kind, phase, delivery, status)
		SELECT gen_random_uuid(), now(), 1, 5, CASE n % 200 WHEN 0 THEN $1 ELSE 'tenant-' || n % 10 END, 'a', 'webhook', 'action', '{}',
			CASE n % 4 WHEN 0 THEN 'dead' ELSE 'resolved' END FROM generate_series(1, 20000) n`, tenant)
	require.NoError(t, err)
	_, err = p.conn.Exec(t.Context(), "ANALYZE minoots.dead_letters")
	require.NoError(t, err)
	const zero = "00000000-0000-0000-0000-000000000000"
	for name, c := range map[string]struct {
		set   map[int]any
		index string
	}{
		"first page": {nil, "dead_letters_tenant"},
		"a kind":     {map[int]any{5: "command"}, "dead_letters_tenant"},
		"created":    {map[int]any{7: time.Now(), 8: time.Now()}, "dead_letters_pkey"},
		"a timer":    {map[int]any{4: zero}, "dead_letters_timer_id_occurrence_action_id_key"},
	} {
		args := []any{tenant, "dead", zero, nil, nil, nil, nil, nil, 100}
		for n, v := range c.set {
			args[n-1] = v
		}
		p.check(t, "dead_letter_page "+name, p.explain(t, "dead_letter_page", "", custom, args), c.index)
	}
	for noun, args := range map[string][]any{
		"dead_letter_redrive": {tenant, []string{zero}, 5, 32_000}, "dead_letter_discard": {zero, tenant}, "dead_letter_get": {zero, tenant},
	} {
		p.check(t, noun, p.explain(t, noun, "", generic, args), "dead_letters_pkey")
	}
}

// Outcomes find their firing in its own week: of the other partitions not one
// page is read.
func (p *plans) testOutcomes(t *testing.T) {
	const group = 50
	rows, err := p.conn.Query(t.Context(), `
		WITH f AS (SELECT timer_id, due_at, tableoid, row_number() OVER () AS n FROM minoots.firings
				WHERE due_at BETWEEN now() - interval '8 days' AND now() - interval '6 days' LIMIT $1),
			j AS (SELECT id, row_number() OVER () AS n FROM river.river_job WHERE state = 'running' LIMIT $1)
		SELECT f.timer_id::text, f.due_at, j.id, f.tableoid::regclass::text FROM f JOIN j USING (n)`, group)
	require.NoError(t, err)
	var timer, week string
	var due time.Time
	var job int64
	var timers []string
	var dues []time.Time
	var jobs []int64
	_, err = pgx.ForEachRow(rows, []any{&timer, &due, &job, &week}, func() error {
		timers, dues, jobs = append(timers, timer), append(dues, due), append(jobs, job)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, jobs, group)
	args := outcomeArgs(jobs, timers, dues)
	for _, mode := range []string{generic, custom} {
		plan := p.explain(t, "outcome_record", ", ANALYZE", mode, args)
		week := strings.TrimPrefix(week, "minoots.")
		p.check(t, "outcome_record "+mode, plan, "river_job_pkey", "timer_states_pkey", week+"_pkey")
		assert.NotContains(t, plan.indexes(), "river_job_prioritized_fetching_index", "all running jobs are read")
		for _, n := range plan.all() {
			if strings.HasPrefix(n.Relation, "firings_") && n.Type != "ModifyTable" {
				assert.Equal(t, n.Relation == week, n.Loops != nil && *n.Loops > 0, "%s read, %s the week", n.Relation, week)
			}
		}
	}
}

// outcomeArgs are those of as many successes.
func outcomeArgs(jobs []int64, timers []string, dues []time.Time) []any {
	n := len(jobs)
	return []any{
		jobs, slices.Repeat([]int16{1}, n), slices.Repeat([]bool{true}, n), slices.Repeat([]bool{true}, n),
		timers, dues, slices.Repeat([]int32{1}, n), slices.Repeat([]string{tenant}, n),
		slices.Repeat([]string{"a"}, n), slices.Repeat([]string{"webhook"}, n), dues, dues,
		make([]*int32, n), make([]*string, n), make([]*string, n), make([]*string, n),
		make([]bool, n), make([]*time.Time, n), "replica",
		make([]*string, n), slices.Repeat([]string{"action"}, n), make([]bool, n), make([]bool, n),
		slices.MinFunc(dues, time.Time.Compare), slices.MaxFunc(dues, time.Time.Compare),
		slices.MinFunc(dues, time.Time.Compare), slices.MaxFunc(dues, time.Time.Compare),
	}
}
