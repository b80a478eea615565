package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/testdb"
	"github.com/minoots/minoots/kernel"
	"github.com/minoots/minoots/workers"
)

// gambler is an executor for whom things go wrong now and then.
type gambler struct{}

func (gambler) Kinds() []minoots.ActionKind { return []minoots.ActionKind{minoots.KindWebhook} }

func (gambler) Destination(*minoots.Delivery) string { return "" }

func (gambler) Execute(_ context.Context, _ minoots.Delivery, _ int) minoots.Outcome {
	began := time.Now()
	time.Sleep(rand.N(5 * time.Millisecond)) // what the receiver takes for it
	out := minoots.Outcome{Success: rand.N(10) > 2, Retryable: rand.N(3) > 0, StartedAt: began, FinishedAt: time.Now()}
	if !out.Success {
		out.ErrorClass, out.Error = "http_status", "it said no"
	}
	return out
}

// An audit beside a service under load finds nothing, at whatever instant it
// looks: with no grace at all but for what is due just now.
func TestAuditBesideALoad(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	log := slog.New(slog.DiscardHandler)
	connect := func(name string) *db.DB {
		d, err := db.Connect(t.Context(), db.Config{URL: database.URL, Name: name, Log: log})
		require.NoError(t, err)
		t.Cleanup(d.Close)
		return d
	}
	api := connect("api")
	_, err := api.TenantCreate(t.Context(), "acme", "")
	require.NoError(t, err)
	w, err := workers.New(workers.Config{DB: connect("worker"), Actions: gambler{}, Replica: "test", Log: log})
	require.NoError(t, err)
	k, err := kernel.New(kernel.Config{DB: connect("kernel"), ListenURL: database.URL, Planner: w, Log: log})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var service errgroup.Group
	service.Go(func() error { return w.Run(ctx) })
	service.Go(func() error { return k.Run(ctx) })

	const batches, batch = 20, 40
	var callers errgroup.Group
	callers.Go(func() error {
		for range batches {
			created, err := api.TimerCreate(ctx, someTimers(batch))
			if err != nil {
				return err
			}
			for _, c := range created[:batch/10] { // some before, some after they fire
				if _, err := api.TimerCancel(ctx, "acme", c.Timer.ID, nil, nil); err != nil && minoots.ErrorCode(err) != minoots.CodeConflict {
					return err
				}
			}
		}
		return nil
	})
	over := func() (n int) {
		require.NoError(t, database.Pool.QueryRow(t.Context(),
			"SELECT count(*) FROM minoots.timer_states WHERE status IN ('settled', 'failed', 'cancelled')").Scan(&n))
		return n
	}
	auditor := connect("audit")
	audits := 0
	for deadline := time.Now().Add(30 * time.Second); over() < batches*batch && time.Now().Before(deadline); audits++ {
		// The grace is for what is due: all else holds at every instant.
		audit, err := auditor.AuditRun(t.Context(), db.AuditRequest{Grace: 10 * time.Second})
		require.NoError(t, err)
		requireNothingFound(t, &audit)
		audit, err = auditor.AuditRun(t.Context(), db.AuditRequest{Grace: -time.Second})
		require.NoError(t, err)
		for i := range audit.Checks {
			if audit.Checks[i].Name == "timer_overdue" {
				audit.Checks[i].Found = 0 // due, just now
			}
		}
		requireNothingFound(t, &audit)
	}
	require.NoError(t, callers.Wait())
	assert.Equal(t, batches*batch, over())
	assert.GreaterOrEqual(t, audits, 2, "while it ran")
	t.Log(audits, "audits beside the load")
	stop()
	require.NoError(t, service.Wait())
	audit, err := auditor.AuditRun(t.Context(), db.AuditRequest{Grace: -time.Second})
	require.NoError(t, err)
	requireNothingFound(t, &audit)
}

func requireNothingFound(t *testing.T, audit *db.Audit) {
	t.Helper()
	for _, c := range audit.Checks {
		require.Zero(t, c.Found, "%s: %v", c.Name, c.Examples)
	}
}

// someTimers are due soon, with bundles of all shapes.
func someTimers(n int) []db.NewTimer {
	timers := make([]db.NewTimer, n)
	for i := range timers {
		in := minoots.Duration(rand.N(500 * time.Millisecond))
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: "acme", Spec: minoots.TimerSpec{Duration: &in}}
		if actions := i % 4; actions > 0 {
			b := minoots.Bundle{Concurrency: 1 + i%3, RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 2, BackoffInitialMs: 10}}
			for j := range actions {
				b.Actions = append(b.Actions, minoots.Action{ID: string(rune('a' + j)), Kind: minoots.KindWebhook})
			}
			b = b.WithDefaults()
			timers[i].Spec.ActionBundle = &b
		}
	}
	return timers
}

func TestAuditCommand(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	url := "--database-url=" + database.URL
	status, out, errOut := cli(t, "", "audit", url)
	require.Equal(t, exitDone, status, errOut)
	require.Contains(t, out, "timer_without_state")
	require.Contains(t, out, "minoots.timer_states")
	require.Contains(t, out, "0 of 22 checks found something")

	_, err := database.Pool.Exec(t.Context(), `INSERT INTO minoots.timers (id, created_at, tenant_id)
		SELECT gen_random_uuid(), now() - interval '2 hours', 'acme' FROM generate_series(1, 3)`)
	require.NoError(t, err)
	status, out, errOut = cli(t, "", "audit", url, "--examples=2")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errOut, "not everything is as it must be")
	require.Contains(t, out, "…")
	status, out, _ = cli(t, "", "audit", url, "--json")
	require.Equal(t, exitFailed, status)
	var audit db.Audit
	require.NoError(t, json.Unmarshal([]byte(out), &audit))
	require.False(t, audit.OK)
	require.Equal(t, "timer_without_state", audit.Checks[0].Name)
	require.EqualValues(t, 3, audit.Checks[0].Found)
	require.Len(t, audit.Checks[0].Examples, 3)
	for _, since := range []string{"1h", time.Now().Add(-time.Hour).Format(time.RFC3339)} {
		status, _, errOut = cli(t, "", "audit", url, "--since", since)
		require.Equal(t, exitDone, status, errOut)
	}
	for _, wrong := range []string{"--since=yesterday", "--since=-1h", "--examples=0", "--timeout=1ms", "extra"} {
		status, _, _ = cli(t, "", "audit", url, wrong)
		require.Equal(t, exitMisuse, status, wrong)
	}
}
