package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := b.call("GET", "/v1/timers", "", "X-Request-Id", "trace-1").is(http.StatusOK)
	assert.Equal(t, "trace-1", own.Header.Get("X-Request-Id"))
	for _, bad := range []string{"a b", "ü", strings.Repeat("x", 129), "a\tb"} {
		made := b.call("GET", "/v1/timers", "", "X-Request-Id", bad).Header.Get("X-Request-Id")
		_, err := minoots.ParseID(made)
		assert.NoError(t, err)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.api.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("secret cause") })
	p := b.call("GET", "/panic", "").is(http.StatusInternalServerError).problem()
	assert.Equal(t, minoots.CodeInternal, p.Code)
	assert.NotContains(t, p.Detail, "secret")
	for _, want := range []string{"secret cause", "exchange_test.go", p.RequestID, "level=ERROR"} {
		assert.Contains(t, b.log.String(), want)
	}
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
		b.api.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("{"))
			panic("too late")
		})
		b.call("GET", "/half", "")
	}, "half an answer breaks the connection")
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("GET", "/v1/timers", "").is(http.StatusOK)
	b.db.Close()
	for _, key := range []string{b.admin, b.other} { // known to the cache, and not
		a := b.call("POST", "/v1/timers", `{"duration":"1h"}`, "X-Api-Key", key).is(http.StatusServiceUnavailable)
		assert.Equal(t, minoots.CodeUnavailable, a.problem().Code)
		assert.Equal(t, "1", a.Header.Get("Retry-After"))
	}
	assert.Contains(t, b.log.String(), "level=WARN")
	assert.Contains(t, b.log.String(), "closed pool")
}

func TestClientThatHasGoneIsNotAFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("GET", "/v1/timers", "").is(http.StatusOK)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/timers", nil)
	r.Header.Set("X-Api-Key", b.admin)
	b.do(r).is(http.StatusServiceUnavailable)
	assert.Empty(t, b.log.String())
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("GET", "/v1/timers", "").is(http.StatusOK)
	b.call("GET", "/nowhere", "").is(http.StatusNotFound)
	families, err := b.registry.Gather()
	require.NoError(t, err)
	found := map[string][]string{}
	for _, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			found[family.GetName()] = append(found[family.GetName()], strings.Join(labels, ","))
		}
	}
	assert.Equal(t, map[string][]string{
		"minoots_http_requests_total":  {"code=200,operation=listTimers", "code=404,operation=none"},
		"minoots_http_request_seconds": {"operation=listTimers", "operation=none"},
		"minoots_events_sent_total":    {""},
		"minoots_http_in_flight":       {""},
		"minoots_waiters":              {""},
		"minoots_wait_looks_total":     {""},
		"minoots_wait_listening":       {""},
	}, found)
}
