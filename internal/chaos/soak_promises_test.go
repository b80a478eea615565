package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// A request is repeated: its answer says when the timer is due now.
func TestSoakPlansFromTheFirstOccurrence(t *testing.T) {
	t.Parallel()
	at := minoots.InstantOf(time.Now().Truncate(time.Microsecond))
	d := draft{plan: plan{gap: time.Second, times: 3}}
	due := func(status minoots.Status, occurrence int) time.Duration {
		return d.promised(created{FireAt: at, Status: status, Occurrence: occurrence}).due.Sub(at.Time)
	}
	require.Zero(t, due(minoots.StatusScheduled, 0))
	require.Equal(t, -time.Second, due(minoots.StatusScheduled, 1))
	require.Equal(t, -2*time.Second, due(minoots.StatusFired, 3), "FireAt is of the last")
	require.Equal(t, -2*time.Second, due(minoots.StatusSettled, 3))
	d = draft{plan: plan{times: 1}}
	require.Zero(t, due(minoots.StatusSettled, 1))
}

// What agents were told, and the database does not know, or contradicts.
func TestSoakJudgeFindsLostWords(t *testing.T) {
	t.Parallel()
	s, _ := newSoakSetup(t)
	s.agents = newAgents(t.Context(), nil)
	judge := func() []string {
		s.row.Broken = nil
		require.NoError(t, s.judgeWords(t.Context()))
		return s.row.Broken
	}
	require.Empty(t, judge())
	timer := minoots.NewID().String()
	attempt := func(number int, status string) {
		_, err := s.db.pool.Exec(t.Context(), `INSERT INTO minoots.attempts (timer_id, occurrence, action_id, kind, attempt, started_at, finished_at, replica, tenant_id, status)
			VALUES ($1, 1, '0', 'agent_prompt', $2, now(), now(), 'r', $3, $4)`, timer, number, tenant, status)
		require.NoError(t, err)
	}
	acknowledgement := func(number int, status string, expires, acknowledged time.Duration) {
		_, err := s.db.pool.Exec(t.Context(), `INSERT INTO minoots.acknowledgements (token_hash, timer_id, occurrence, action_id, attempt, job_id, tenant_id, replica, timeout_ms, started_at,
				status, expires_at, latest_at, ok, acknowledged_at)
			VALUES (decode(md5(random()::text), 'hex'), $1, 1, '0', $2, 1, $3, 'r', 1000, now() - interval '1 hour', $4, now() + $5, now() + $5, CASE $4 WHEN 'acknowledged' THEN true END,
				CASE $4 WHEN 'acknowledged' THEN now() + $6::interval END)`,
			timer, number, tenant, status, expires, acknowledged)
		require.NoError(t, err)
	}
	s.agents.words = []word{{timer, 1, 0, 2, true}}
	require.Equal(t, []string{"1 acknowledgements that were taken are not on record"}, judge())
	attempt(1, "retrying")
	attempt(2, "succeeded")
	acknowledgement(1, "expired", -time.Minute, 0)
	acknowledgement(2, "acknowledged", time.Minute, 0)
	require.Empty(t, judge())

	acknowledgement(1, "expired", time.Minute, 0)
	require.Equal(t, []string{"1 acknowledgements expired before their deadline"}, judge())
	attempt(3, "failed")
	require.Contains(t, judge(), "1 actions were tried again after they had been acknowledged")
	acknowledgement(4, "acknowledged", -time.Minute, 0)
	require.Contains(t, judge(), "1 acknowledgements were taken past their deadline")
	acknowledgement(5, "waiting", -time.Minute, 0)
	require.Contains(t, judge(), "1 acknowledgements still wait past their deadline")
	s.agents.words = []word{{timer, 1, 0, 3, true}}
	require.Contains(t, judge(), "1 acknowledgements that were taken are not on record", "it has failed")
}

// Events that never came, that never happened, that came twice or in disorder.
func TestSoakJudgeFindsMissingEvents(t *testing.T) {
	t.Parallel()
	s, _ := newSoakSetup(t)
	b := newEventBook("stream", tenant)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	timer := minoots.NewID()
	happens := func() string {
		seq, err := one[int64](t.Context(), s.db, `INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES ($1, $2, 'timer.updated') RETURNING seq`, timer, tenant)
		require.NoError(t, err)
		return fmt.Sprint(seq)
	}
	hears := func(id, of, webhookID string) {
		for { // it asks for one in thirty again
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL,
				strings.NewReader(fmt.Sprintf(`{"id": %q, "tenantId": %q, "timerId": %q, "type": "timer.updated"}`, id, of, timer)))
			require.NoError(t, err)
			req.Header.Set("webhook-id", webhookID)
			res, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			if res.StatusCode == http.StatusNoContent {
				return
			}
		}
	}
	judge := func() []string {
		s.row.Broken = nil
		require.NoError(t, b.judge(t.Context(), s.db, s.row))
		return s.row.Broken
	}
	require.Equal(t, []string{"stream: no event of " + tenant + " came"}, judge())
	first, second := happens(), happens()
	hears(second, tenant, "w2")
	b.loose = true // it may have been sent twice
	require.Equal(t, []string{"stream: 1 events of " + tenant + " never came"}, judge())
	missing, err := s.eventsToCome(t.Context())
	require.NoError(t, err)
	require.Zero(t, missing, "nobody is listening")
	s.books = []*eventBook{b}
	missing, err = s.eventsToCome(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, missing)
	hears(first, tenant, "w1")
	require.Empty(t, judge())
	hears(first, tenant, "w1")
	require.Empty(t, judge(), "at least once")
	b.loose = false
	require.Contains(t, strings.Join(judge(), "; "), "stream: 1 events came behind a later one of their timer, such as timer.updated "+first)
	require.Contains(t, strings.Join(judge(), "; "), "events came twice")
	b.loose = true
	hears(first, tenant, "w3")
	require.Equal(t, []string{"stream: 1 events came under another webhook-id"}, judge())
	hears("999999", tenant, "w4")
	require.Contains(t, judge(), "stream: 1 events of "+tenant+" came that are not in the log")
	hears(first, "another", "w5")
	require.Contains(t, strings.Join(judge(), "; "), "no event of its tenant")
}
