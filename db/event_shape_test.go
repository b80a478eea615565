package db_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// What consumers get of each type, from rows that the service's own statements
// have written. A change of it is a change of the public interface.
func TestEventShapes(t *testing.T) {
	t.Parallel()
	database, d := setup(t)
	ctx, start := t.Context(), oldest(t, d)
	hour := func(actions int) minoots.ID {
		return create(t, d, timerAt(d.Clock().Now().Add(time.Hour), actions, 1))[0]
	}
	must := func(_ any, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	// So that no id looks like an occurrence, which stands in keys too.
	_, err := database.Pool.Exec(ctx, "ALTER SEQUENCE minoots.events_seq_seq RESTART WITH 1000")
	require.NoError(t, err)
	changed, cancelled := hour(0), hour(0)
	later := minoots.Duration(time.Minute)
	must(d.TimerSnooze(ctx, tenant, changed, &later, nil))
	must(d.TimerPause(ctx, tenant, changed))
	must(d.TimerResume(ctx, tenant, changed, minoots.ResumeShift))
	must(d.TimerFire(ctx, tenant, changed))
	must(d.TimerCancel(ctx, tenant, cancelled, nil, nil))
	create(t, d, timerAt(past(d), 1, 1))
	create(t, d, timerAt(past(d), 1, 1))
	claimed := map[int]db.OutcomeRecord{}
	for i, f := range claim(t, d, db.ClaimRequest{Limit: 10}) {
		if f.Actions > 0 {
			claimed[i] = running(t, database, f)
		}
	}
	n := 0
	for _, r := range claimed {
		if n++; n == 1 {
			r.Outcome = failed("no")
		}
		record(t, d, []bool{true}, r)
	}
	must(d.TimerReplay(ctx, tenant, changed, db.Replay{Delay: &later}))
	// An agent that acknowledges, and a timer that is found too late.
	awaiting := timerAt(past(d), 1, 1)
	awaiting.Spec.Name = "awaiting"
	create(t, d, awaiting)
	must(d.TimerClaim(ctx, db.ClaimRequest{Limit: 1}, then(func(tx db.Tx, fired []db.Fired) error {
		return insertJobs(ctx, tx, firstDeliveries(fired))
	})))
	token := await(t, d, fetch(t, database, "awaiting"))
	must(acknowledge(t, d, token, yes))
	late := timerAt(d.Clock().Now().Add(time.Minute), 1, 1)
	late.Spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireOnce, MaxLatenessMs: 1000}
	create(t, d, late)
	claim(t, d, db.ClaimRequest{Limit: 10, Now: late.Spec.FireAt.Add(time.Minute)})
	patched := timerAt(d.Clock().Now().Add(time.Hour), 0, 1)
	create(t, d, patched)
	patched.Spec.Name = "patched"
	must(d.TimerUpdate(ctx, tenant, patched.ID, db.TimerUpdate{Spec: patched.Spec, Version: 1, Fields: []string{"name"}}))

	events, _ := readAll(t, d, db.EventRequest{After: start, Limit: 100})
	shapes, made := map[string]bool{}, regexp.MustCompile(`"deadLetterId":"[^"]*"`)
	for _, e := range events {
		text, err := json.Marshal(e.Event)
		require.NoError(t, err)
		shape := strings.NewReplacer(
			e.TimerID.String(), "TIMER", e.TraceID, "TRACE", e.OccurredAt.String(), "INSTANT",
			`"id":"`+e.ID+`"`, `"id":"ID"`, "/"+e.ID+`"`, `/ID"`,
		).Replace(string(text))
		shapes[made.ReplaceAllString(shape, `"deadLetterId":"ID"`)] = true
	}
	compareGolden(t, "events.golden", strings.Join(sorted(shapes), "\n")+"\n")
}
