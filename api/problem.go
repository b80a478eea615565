package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

// statuses is the one table of what each code is over HTTP.
var statuses = map[minoots.Code]struct {
	status int
	title  string
}{
	minoots.CodeInvalid:         {http.StatusUnprocessableEntity, "The request does not validate"},
	minoots.CodeUnauthenticated: {http.StatusUnauthorized, "The request has no valid credential"},
	minoots.CodeForbidden:       {http.StatusForbidden, "The credential does not allow this"},
	minoots.CodeNotFound:        {http.StatusNotFound, "There is no such thing"},
	minoots.CodeConflict:        {http.StatusConflict, "The state of the thing does not allow this"},
	minoots.CodeStale:           {http.StatusPreconditionFailed, "The version is not the current one"},
	minoots.CodeGone:            {http.StatusGone, "It was there, and is no more"},
	minoots.CodeTooLarge:        {http.StatusRequestEntityTooLarge, "The request is over a limit"},
	minoots.CodeRateLimited:     {http.StatusTooManyRequests, "Too many requests"},
	minoots.CodeUnavailable:     {http.StatusServiceUnavailable, "The service cannot answer now"},
	minoots.CodeInternal:        {http.StatusInternalServerError, "The service failed"},
}

const invalidRequest = "the request does not validate"

// Problem is every error's body, by RFC 9457.
type Problem struct { //nolint:errname // RFC 9457 calls it so, and so does the schema
	Type      string         `json:"type" format:"uri" example:"urn:minoots:problem:invalid" doc:"Names the code as a URI."`
	Title     string         `json:"title" doc:"What the code means."`
	Status    int            `json:"status" example:"422"`
	Detail    string         `json:"detail" doc:"What is wrong this time, for people."`
	Code      minoots.Code   `json:"code" example:"invalid" doc:"To branch on: invalid, unauthenticated, forbidden, not_found, conflict, stale_version, gone, too_large, rate_limited, unavailable or internal. There may be more some day."`
	RequestID string         `json:"requestId" doc:"Finds the request in the service's log."`
	Hint      string         `json:"hint,omitempty" doc:"What to do."`
	Errors    []ProblemField `json:"errors,omitempty" doc:"What is wrong with which field."`
	// OldestCursor stands with gone, where the request came with a cursor of events.
	OldestCursor string `json:"oldestCursor,omitempty" doc:"With gone, for events: the cursor from which on the log is whole."`
	cause        error  // for the log
}

// ProblemField is what is wrong with one field. It never repeats the value, which
// might be a secret.
type ProblemField struct {
	Path     string `json:"path" example:"actionBundle.actions[0].kind" doc:"The field as the request has it; empty for the body as a whole."`
	Message  string `json:"message" doc:"What is wrong and what would be right."`
	Location string `json:"location" example:"body.actionBundle.actions[0].kind" doc:"The path, with body, query, path or header before it."`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// statusError gives an error another status than its code's.
type statusError struct {
	err    *minoots.Error
	status int
}

func (e statusError) Error() string { return e.err.Error() }
func (e statusError) Unwrap() error { return e.err }

// badParam is a mistake in a path, query or header parameter.
func badParam(in, name, format string, args ...any) error {
	return &huma.ErrorDetail{Location: in + "." + name, Message: fmt.Sprintf(format, args...)}
}

// newProblem makes the answer of what huma or a handler reports: mistakes of
// parameters and body together, or the one error that outweighs them. An error
// of unknown kind is told as a failure of ours, and stays the log's.
func newProblem(status int, message string, errs ...error) *Problem {
	p := &Problem{Status: status, Detail: message, Code: codeOf(status)}
	for _, err := range errs {
		var param *huma.ErrorDetail
		var own *minoots.Error
		switch {
		case errors.As(err, &param):
			_, path, _ := strings.Cut(param.Location, ".")
			message := strings.TrimPrefix(param.Message, "invalid value: ") // huma's, before what a type says of its text
			p.Errors = append(p.Errors, ProblemField{Path: path, Message: message, Location: param.Location})
		case errors.As(err, &own):
			p.take(own)
			var special statusError
			if errors.As(err, &special) {
				p.Status = special.status
			}
		case errors.Is(err, context.Canceled):
			p.take(&minoots.Error{Code: minoots.CodeUnavailable, Message: "the request was given up", Err: err})
		default:
			p.take(&minoots.Error{Code: minoots.CodeInternal, Message: "internal error", Err: err})
		}
		if p.Code != minoots.CodeInvalid {
			break
		}
	}
	p.Type, p.Title = "urn:minoots:problem:"+string(p.Code), statuses[p.Code].title
	p.sumUp()
	return p
}

func (p *Problem) take(e *minoots.Error) {
	p.Code, p.Status, p.Detail, p.Hint = e.Code, statuses[e.Code].status, e.Message, e.Hint
	if e.Code == minoots.CodeInternal || e.Code == minoots.CodeUnavailable {
		p.cause = e
	}
	if expired := (*minoots.CursorExpiredError)(nil); errors.As(e.Err, &expired) {
		p.OldestCursor = expired.Oldest
	}
	for _, f := range e.Fields {
		location := strings.TrimSuffix("body."+f.Path, ".")
		p.Errors = append(p.Errors, ProblemField{Path: f.Path, Message: f.Message, Location: location})
	}
}

// sumUp repeats the first mistake in the detail, since that is what many clients
// print.
func (p *Problem) sumUp() {
	if len(p.Errors) == 0 {
		return
	}
	first := p.Errors[0]
	p.Detail += ": " + strings.TrimSpace(first.Path+" "+first.Message)
	if more := len(p.Errors) - 1; more > 0 {
		p.Detail += fmt.Sprintf(" (and %d more)", more)
	}
}

// codeOf is the code of a status that huma or the mux answers by itself.
func codeOf(status int) minoots.Code {
	for code, row := range statuses {
		if row.status == status {
			return code
		}
	}
	if status >= http.StatusInternalServerError {
		return minoots.CodeInternal
	}
	return minoots.CodeInvalid
}

// headers that go with a problem.
func (p *Problem) setHeaders(set func(name, value string)) {
	switch p.Code {
	case minoots.CodeUnauthenticated:
		set("WWW-Authenticate", `Bearer realm="minoots"`)
	case minoots.CodeUnavailable, minoots.CodeRateLimited:
		set("Retry-After", "1")
	}
}

// huma has these as variables of the package. All of its errors go through the
// two functions.
func init() {
	huma.DefaultArrayNullable = false // lists are never null
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return newProblem(status, message, errs...)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := newProblem(status, message, errs...)
		exchangeOf(ctx.Context()).adopt(p)
		p.setHeaders(ctx.SetHeader)
		return p
	}
}

// writeTo answers with the problem where there is no huma.Context.
func (p *Problem) writeTo(w http.ResponseWriter) {
	p.setHeaders(w.Header().Set)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
