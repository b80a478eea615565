package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/minoots/minoots"
)

// unmatched is the operation of a request that no route takes.
const unmatched = "none"

// exchange is one request with its answer, as the log and the metrics see it. It
// is the ResponseWriter, and the request's context leads to it.
type exchange struct {
	http.ResponseWriter
	id        string
	operation string
	principal minoots.Principal
	status    int          // 0 until the header is written
	refused   minoots.Code // over gRPC, where the status does not tell
	cause     error        // of a failure, for the log
	broken    error        // the connection's, while the answer was written
	replaced  bool         // what is written now is not sent
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

func principalOf(ctx context.Context) minoots.Principal { return exchangeOf(ctx).principal }

// serve is the way of every request.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, id: requestID(r), operation: unmatched}
	w.Header().Set("X-Request-Id", x.id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	began := time.Now()
	a.metrics.inFlight.Inc()
	defer func() {
		x.recovered(recover())
		a.metrics.inFlight.Dec()
		a.metrics.observe(x, time.Since(began))
		a.report(x, r, time.Since(began))
		if x.broken != nil {
			panic(http.ErrAbortHandler) // so that half an answer does not look whole
		}
	}()
	a.mux.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// recovered turns a panic into an answer. huma panics, too, when it cannot write.
func (x *exchange) recovered(v any) {
	if v == nil || x.broken != nil {
		return
	}
	x.cause = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	if x.status != 0 {
		x.broken = http.ErrAbortHandler
		return
	}
	p := newProblem(http.StatusInternalServerError, "internal error")
	p.RequestID = x.id
	p.writeTo(x)
}

// report logs failures, and on debug every request.
func (a *API) report(x *exchange, r *http.Request, took time.Duration) {
	level := slog.LevelDebug
	switch {
	case errors.Is(x.cause, context.Canceled): // the client has gone
	case x.cause != nil && x.code() == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case x.cause != nil:
		level = slog.LevelError
	}
	if !a.log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("operation", x.operation), slog.Int("status", x.code()), slog.Duration("took", took),
		slog.String("request_id", x.id), slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
		slog.String("tenant", x.principal.TenantID),
	}
	if x.cause != nil {
		attrs = append(attrs, slog.Any("error", x.cause))
	}
	a.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// code is the status of the answer; over gRPC, the one that REST would have given.
func (x *exchange) code() int {
	if x.refused != "" {
		return statuses[x.refused].status
	}
	return x.status
}

// adopt makes the problem this request's.
func (x *exchange) adopt(p *Problem) {
	p.RequestID = x.id
	if p.cause != nil {
		x.cause = p.cause
	}
}

// WriteHeader implements http.ResponseWriter. What the mux answers by itself, for
// an unknown path or method, is plain text: a problem goes out in its place.
func (x *exchange) WriteHeader(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	if x.operation != unmatched || status < http.StatusBadRequest || x.Header().Get("Content-Type") == "application/problem+json" {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	message := "there is nothing at this path"
	if status == http.StatusMethodNotAllowed {
		message = "this path has no such method; it has " + x.Header().Get("Allow")
	}
	p := newProblem(status, message)
	p.RequestID = x.id
	x.replaced = true
	p.writeTo(x.ResponseWriter)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(b []byte) (int, error) {
	if x.replaced {
		return len(b), nil
	}
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.ResponseWriter.Write(b)
	if err != nil {
		x.broken = err
	}
	return n, err
}

// Flush implements http.Flusher: streams send what they have.
func (x *exchange) Flush() {
	if err := http.NewResponseController(x.ResponseWriter).Flush(); err != nil && x.broken == nil {
		x.broken = err
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// requestID is the caller's, if it may stand in a log and a header, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
		return id
	}
	return minoots.NewID().String()
}
