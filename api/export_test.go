package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Document is the API's own description, for tests that hold every operation to
// something.
func (a *API) Document() *huma.OpenAPI { return a.huma.OpenAPI() }

// HandleFunc adds a handler beside the operations, for tests of what surrounds them.
func (a *API) HandleFunc(pattern string, h http.HandlerFunc) { a.mux.HandleFunc(pattern, h) }

// DecodeCursor reads a cursor of timers.
func DecodeCursor(text string) ([]byte, bool) { return decodeCursor(cursorTimers, text) }

// Beat shortens the time between the signs of life of event streams.
func (a *API) Beat(every time.Duration) { a.heartbeat = every }

// WaitFallback sets how often timers that are waited for are looked at without being
// told of. Nobody may wait yet.
func (a *API) WaitFallback(every time.Duration) { a.waits.fallback = every }
