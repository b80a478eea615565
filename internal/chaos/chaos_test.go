package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	names := func(cfg Config) []string {
		chosen, err := choose(cfg)
		require.NoError(t, err)
		var all []string
		for _, s := range chosen {
			all = append(all, s.name)
		}
		return all
	}
	require.Len(t, names(Config{}), len(scenarios))
	require.Equal(t, []string{"kill", "rolling", "postgres"}, names(Config{Short: true}))
	require.Equal(t, []string{"disk"}, names(Config{Short: true, Only: []string{"disk"}}))
	require.Equal(t, []string{"pooler-direct", "pooler-only"}, names(Config{Only: []string{"pooler"}}))
	_, err := choose(Config{Only: []string{"kil"}})
	require.ErrorContains(t, err, "nothing is called kil")
}

func TestWhatCannotBeRunIsSaid(t *testing.T) {
	t.Parallel()
	var told []Row
	h := &harness{report: &Report{}, cfg: Config{Tell: func(r Row) { told = append(told, r) }}}
	s := scenario{
		name: "disk", needs: func(Config) error { return errors.New("no disk") },
		run: func(context.Context, *world) error { panic("it cannot be run") },
	}
	require.NoError(t, h.take(t.Context(), s))
	require.Equal(t, "disk           not run: no disk", told[0].Line())
	broken, notRun := h.report.Count()
	require.Equal(t, []int{0, 1}, []int{broken, notRun})
}

func TestSeedRepeatsTheFaults(t *testing.T) {
	t.Parallel()
	draws := func(seed uint64, name string) []int {
		w := (&harness{cfg: Config{Seed: seed}}).newWorld(scenario{name: name}, &Row{})
		return []int{w.rng.IntN(1e9), w.rng.IntN(1e9)}
	}
	require.Equal(t, draws(7, "kill"), draws(7, "kill"))
	require.NotEqual(t, draws(7, "kill"), draws(8, "kill"))
	require.NotEqual(t, draws(7, "kill"), draws(7, "points"))
}

func TestCreationsAreOrderedAndNearAndFar(t *testing.T) {
	t.Parallel()
	l := &load{perSecond: 10, lead: leadFull, begin: time.Now()}
	order := l.order(100)
	require.True(t, slices.IsSortedFunc(order, func(a, b int) int { return l.creation(a).Compare(l.creation(b)) }))
	for i := range 6 {
		require.Equal(t, time.Duration(i+1)*leadStep, l.due(i).Sub(l.creation(i)))
	}
}

func TestCallerNamesFailures(t *testing.T) {
	t.Parallel()
	answer := func(status int, retry string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if retry != "" {
				w.Header().Set("Retry-After", retry)
			}
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"id": r.Header.Get("Idempotency-Key"), "code": "c"})
		}
	}
	for _, test := range []struct {
		answer      http.HandlerFunc
		id, failure string
	}{
		{answer(201, ""), "key", ""},
		{answer(200, ""), "key", ""},
		{answer(503, "1"), "", unavailable},
		{answer(503, ""), "", "HTTP 503 without Retry-After"},
		{answer(500, ""), "", "HTTP 500 c"},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "connection broken"},
	} {
		server := httptest.NewServer(test.answer)
		c := newCaller("secret")
		id, failure := c.create(t.Context(), server.URL, "key", []byte("{}"))
		require.Equal(t, test.failure, failure)
		require.Equal(t, test.id, id)
		c.http.CloseIdleConnections()
		server.Close()
	}
	// Not the address of a server that was closed: a process that is being started
	// just then holds its socket for a moment longer.
	_, failure := newCaller("secret").create(t.Context(), nobody, "key", []byte("{}"))
	require.Equal(t, refused, failure)
}
