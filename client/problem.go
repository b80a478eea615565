package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// ResponseError is what an answer said beside its error: the cause of the
// *minoots.Error that a call returns.
type ResponseError struct {
	Status     int           // the HTTP status
	RequestID  string        // finds the request in the server's log; may be empty
	RetryAfter time.Duration // what the server asked for; 0 for nothing
	Err        error         // what could not be read, or nil
}

// Error implements error.
func (e *ResponseError) Error() string {
	text := fmt.Sprintf("HTTP %d", e.Status)
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *ResponseError) Unwrap() error { return e.Err }

func responseError(res *http.Response, cause error) *ResponseError {
	e := &ResponseError{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), Err: cause}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// problemBody is RFC 9457 with the members that MINOOTS adds.
type problemBody struct {
	Title     string       `json:"title"`
	Detail    string       `json:"detail"`
	Code      minoots.Code `json:"code"`
	RequestID string       `json:"requestId"`
	Hint      string       `json:"hint"`
	Errors    []struct {
		Path     string `json:"path"`
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// problem reads an error answer. One that is not of the API's form comes from
// something between: a proxy, or another server at that address.
func problem(res *http.Response, body []byte) error {
	cause := responseError(res, nil)
	out := &minoots.Error{Code: codeOf(res.StatusCode), Err: cause}
	var p problemBody
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(body, &p) != nil {
		out.Message = "the API did not answer, something else did: " + http.StatusText(res.StatusCode)
		out.Hint = "check the API's URL"
		return out
	}
	if p.Code != "" {
		out.Code = p.Code
	}
	if p.RequestID != "" {
		cause.RequestID = p.RequestID
	}
	out.Message, out.Hint = p.Detail, p.Hint
	if out.Message == "" || len(p.Errors) > 0 && p.Title != "" {
		out.Message = p.Title // the detail repeats the first field
	}
	for _, f := range p.Errors {
		path := f.Path
		if path == "" {
			path = f.Location
		}
		out.Fields = append(out.Fields, minoots.FieldError{Path: path, Message: f.Message})
	}
	return out
}

// codeOf is the code for an answer that does not give one.
func codeOf(status int) minoots.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return minoots.CodeInvalid
	case http.StatusUnauthorized:
		return minoots.CodeUnauthenticated
	case http.StatusForbidden:
		return minoots.CodeForbidden
	case http.StatusNotFound:
		return minoots.CodeNotFound
	case http.StatusConflict:
		return minoots.CodeConflict
	case http.StatusPreconditionFailed:
		return minoots.CodeStale
	case http.StatusRequestEntityTooLarge:
		return minoots.CodeTooLarge
	case http.StatusTooManyRequests:
		return minoots.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return minoots.CodeUnavailable
	default:
		return minoots.CodeInternal
	}
}
