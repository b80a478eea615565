// Package jsonguard decodes JSON that comes from outside.
//
// encoding/json is lenient where a service must not be: it takes fields that it
// does not know, keys in the wrong case, keys that stand twice, lone surrogates
// and NUL characters that Postgres cannot store, and its errors seldom say where.
// A Decoder reads the text once, beside the shape of the Go type, stores what it
// reads as encoding/json would, in a third of the time, and says what is wrong as a
// path and a sentence:
//
//	actionBundle.actions[2].kind must be a string
//
// It reports all wrong fields at once, and never repeats a value: that might be a
// secret.
package jsonguard

import (
	"encoding/json"
	"reflect"
	"sync"
)

// Error says what is wrong with a text.
type Error struct {
	Reason Reason
	Fields []Field
}

// Field is one mistake. Path is that of a value in the text, "" for the whole.
type Field struct {
	Path, Message string
}

// Reason sorts errors by what a caller has to do.
type Reason int

// NotJSON and TooLarge end the reading; a text that is only Invalid has been
// read to its end.
const (
	Invalid  Reason = iota // JSON, but not of the wanted shape
	NotJSON                // no JSON parser would take it
	TooLarge               // a value is larger than its maxBytes tag allows
)

// Error implements error.
func (e *Error) Error() string {
	text := "invalid JSON"
	for _, f := range e.Fields {
		text += "; " + f.Path + " " + f.Message
	}
	return text
}

// Decoder decodes into a T, whose fields are known by their json tags. A field
// without omitempty is required. Two tags more are heeded: maxItems on a slice
// bounds its length, and maxBytes the text of each of its elements; both stop
// the reading, so that a hostile text costs no memory.
type Decoder[T any] struct {
	shape    *shape
	maxDepth int
}

// New makes the decoder of a type, which panics where a Go type has no JSON
// shape: that is a mistake in the program.
func New[T any](maxDepth int) *Decoder[T] {
	if maxDepth > deepest {
		panic("jsonguard: no decoder goes that deep")
	}
	return &Decoder[T]{shape: shapes{}.of(reflect.TypeFor[T]()), maxDepth: maxDepth}
}

// Decode reads the text into v, whose pointers, maps and slices must be nil. An error is an
// *Error, and leaves v half written. What it takes, it stores as json.Unmarshal
// would: FuzzDecode holds that.
func (d *Decoder[T]) Decode(text []byte, v *T) error {
	refused, err := d.scan(text, reflect.ValueOf(v).Elem(), false)
	if !refused || err != nil {
		return err
	}
	// A type that decodes itself has refused its value. Which ones do is looked for
	// only now, because it means to decode each of them once more.
	if _, err := d.scan(text, place{}, true); err != nil {
		return err
	}
	return &Error{Fields: []Field{{Message: "does not decode"}}}
}

// scanners are kept, because they are large: a goroutine's stack would have to grow
// for one.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

func (d *Decoder[T]) scan(text []byte, to place, trial bool) (refused bool, err error) {
	s := scanners.Get().(*scanner)
	s.text, s.pos, s.depth, s.maxDepth, s.trial = text, 0, 0, d.maxDepth, trial
	s.refused, s.reason, s.bad = false, Invalid, nil
	if !s.document(d.shape, to) || len(s.bad) > 0 {
		err = &Error{Reason: s.reason, Fields: s.bad}
	}
	refused, s.text, s.bad = s.refused, nil, nil
	scanners.Put(s)
	return refused, err
}

// Unmarshal is json.Unmarshal, sooner: for text that may be of any kind, but is
// nearly always what Decode takes. exact says that it was, and so had no field that
// is not known.
func (d *Decoder[T]) Unmarshal(text []byte, v *T) (exact bool, err error) {
	before := *v
	if d.Decode(text, v) == nil {
		return true, nil
	}
	*v = before
	return false, json.Unmarshal(text, v)
}
