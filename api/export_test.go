package api

import (
	"encoding/binary"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Document is the API's own description, for tests that hold every operation to
// something.
func (a *API) Document() *huma.OpenAPI { return a.huma.OpenAPI() }

// HandleFunc adds a handler beside the operations, for tests of what surrounds them.
func (a *API) HandleFunc(pattern string, h http.HandlerFunc) { a.mux.HandleFunc(pattern, h) }

// DecodeCursor reads a cursor of timers.
func DecodeCursor(text string) ([]byte, error) {
	return decodeCursor(cursorTimers, timerMark(db.TimerFilter{}), text)
}

// OldCursor makes a cursor of timers as it was before there were marks of filters.
func OldCursor(t minoots.Timer) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(t.FireAt.UnixMicro()))
	return encodeCursor(cursorTimers, append(place, t.ID[:]...))
}

// Beat shortens the time between the signs of life of event streams.
func (a *API) Beat(every time.Duration) { a.heartbeat = every }

// WaitFallback sets how often timers that are waited for are looked at without being
// told of. Nobody may wait yet.
func (a *API) WaitFallback(every time.Duration) { a.waits.fallback = every }
