package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/api"
)

// FuzzCursor: a cursor is one that a list gave, or 422; nothing else.
func FuzzCursor(f *testing.F) {
	b := setup(f)
	for range 2 {
		b.create(`{"duration":"1h"}`)
	}
	var p page[struct{}]
	b.call("GET", "/v1/timers?limit=1", "").is(http.StatusOK).into(&p)
	f.Add(*p.NextCursor)
	f.Add((*p.NextCursor)[1:])
	f.Add(strings.ToUpper(*p.NextCursor))
	f.Add("dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		a := b.in(t).call("GET", "/v1/timers?cursor="+url.QueryEscape(cursor), "")
		_, err := api.DecodeCursor(cursor)
		if cursor == "" || err == nil && a.StatusCode == http.StatusOK {
			return
		}
		require.Equal(t, "cursor", a.is(http.StatusUnprocessableEntity).problem().Errors[0].Path)
	})
}

// FuzzCreateTimer: whatever the body, the answer is a timer or the caller's
// mistake, never ours.
func FuzzCreateTimer(f *testing.F) {
	b := setup(f)
	for _, seed := range []string{
		contractTimer, `{"duration":"1h"}`, `{"fireAt":"2027-01-01T00:00:00+05:30"}`, `{"duration":1e3}`,
		`{"fireAt":"1999-01-01T00:00:00Z","misfire":{"policy":"skip","graceMs":31536000000}}`,
		`{"duration":"P1DT2H","labels":{"\\":"\"","é":"😀"},"metadata":{"":[1e308,-0,null,true]}}`,
		`{"duration":"1h","actionBundle":{"actions":[{"id":"a","kind":"webhook","parameters":{"url":"http://x"},
		  "retryPolicy":{"backoffMultiplier":1.0000001}}],"retryPolicy":{}},"jitterMs":86400000}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/timers", strings.NewReader(body))
		r.Header.Set("X-Api-Key", b.admin)
		r.Header.Set("Idempotency-Key", "fuzz")
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s", w.Body)
		r = httptest.NewRequest(http.MethodPost, "/v1/timers", strings.NewReader(body))
		r.Header.Set("X-Api-Key", b.admin)
		w = httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s", w.Body)
		if w.Code != http.StatusCreated {
			return
		}
		got := b.in(t).call("GET", w.Header().Get("Location"), "").is(http.StatusOK)
		require.JSONEq(t, w.Body.String(), string(got.body), "what was answered was stored")
	})
}
