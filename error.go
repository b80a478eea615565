package minoots

import (
	"errors"
	"fmt"
	"strings"
)

// Code classifies an error for callers. Each code has one HTTP status, in api/problem.go.
type Code string

// The codes are part of the public contract: clients branch on them, so they only ever grow.
const (
	CodeInvalid         Code = "invalid"         // the request does not validate
	CodeUnauthenticated Code = "unauthenticated" // no credential, or one that is not known
	CodeForbidden       Code = "forbidden"       // a known credential that may not do this
	CodeNotFound        Code = "not_found"       // no such thing, or not the caller's
	CodeConflict        Code = "conflict"        // the thing's state does not allow this
	CodeStale           Code = "stale_version"   // If-Match names an older version
	CodeGone            Code = "gone"            // what is asked for was there, and retention has removed it
	CodeTooLarge        Code = "too_large"       // a size limit, named in the message
	CodeRateLimited     Code = "rate_limited"    // try again after Retry-After
	CodeUnavailable     Code = "unavailable"     // Postgres is away or slow; try again
	CodeInternal        Code = "internal"        // a fault of ours; the request id finds it in the log
)

// Error is what a caller may see: a code to branch on, a sentence to read and,
// where there is one, a hint of what to do. Err is the cause, for operators
// only: it goes to the log and never to a caller.
type Error struct {
	Code    Code
	Message string
	Hint    string
	Fields  []FieldError
	Err     error
}

// FieldError says what is wrong with one field and what would be right.
// Path is written as in the body, for example "actionBundle.actions[2].id".
type FieldError struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error implements error. The text is for logs; it includes the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for i, f := range e.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.Path + " " + f.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode gives the code of an error, CodeInternal for one that is not ours,
// and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// problems collects field errors so that a caller sees all mistakes at once.
type problems []FieldError

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (p problems) err(what string) error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: what + " does not validate", Fields: p}
}
