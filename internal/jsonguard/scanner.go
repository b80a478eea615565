package jsonguard

import (
	"encoding/json"
	"fmt"
)

// scanner reads a text once, from left to right. Its methods give false when the
// reading has to end; a mistake that lets it go on is only noted.
type scanner struct {
	text     []byte
	pos      int
	maxDepth int
	trial    bool // let custom values decode, to find the one that does not

	path   [deepest]step // where in the text, of which depth steps are in use
	depth  int
	reason Reason
	bad    []Field
}

func (s *scanner) document(want *shape) bool {
	s.space()
	if s.pos == len(s.text) {
		return s.stop(NotJSON, "is empty: want a JSON object")
	}
	if !s.value(want, false) {
		return false
	}
	s.space()
	if s.pos != len(s.text) {
		return s.notJSON("goes on after its end")
	}
	return true
}

// value reads one value. Null is taken where a field may be left out.
func (s *scanner) value(want *shape, optional bool) bool {
	if s.pos == len(s.text) {
		return s.notJSON("ends too early")
	}
	start := s.pos
	var ok bool
	switch c := s.text[s.pos]; c {
	case '{':
		ok = s.object(s.fit(want, record, table))
	case '[':
		ok = s.list(s.fit(want, list, list))
	case '"':
		s.fit(want, text, text)
		_, ok = s.string()
	case 't':
		s.fit(want, boolean, boolean)
		ok = s.word("true")
	case 'f':
		s.fit(want, boolean, boolean)
		ok = s.word("false")
	case 'n':
		if want != nil && !optional {
			s.note("must not be null")
		}
		return s.word("null")
	default:
		ok = s.number(s.fit(want, number, whole))
	}
	if ok && s.trial && want != nil && want.kind == custom {
		s.try(want, s.text[start:s.pos])
	}
	return ok
}

// fit gives the shape to read a value by, which is nil, so any, where the value
// is of neither of the two kinds and another is wanted: that is noted.
func (s *scanner) fit(want *shape, a, b kind) *shape {
	switch {
	case want == nil || want.kind == custom:
		return nil
	case want.kind == a || want.kind == b:
		return want
	}
	s.note("must be " + wants[want.kind])
	return nil
}

// object reads an object: a record, a table, or any.
func (s *scanner) object(want *shape) bool {
	s.pos++
	if !s.enter() {
		return false
	}
	var seen uint64
	for first := true; ; first = false {
		s.space()
		if first && s.next('}') {
			break
		}
		child, bit, ok := s.key(want)
		if !ok {
			return false
		}
		if seen&bit != 0 {
			s.note("stands twice")
		}
		seen |= bit
		if !s.value(child, want != nil && want.kind == record && want.required&bit == 0) {
			return false
		}
		s.space()
		if s.next('}') {
			break
		}
		if !s.next(',') {
			return s.notJSON("needs a comma or a closing brace after it")
		}
	}
	s.leave()
	if want != nil && want.required&^seen != 0 {
		s.missing(want, seen)
	}
	return true
}

// key reads a key and the colon, and finds what is known of the field.
func (s *scanner) key(want *shape) (child *shape, bit uint64, ok bool) {
	s.path[s.depth-1] = step{index: -1}
	if s.pos == len(s.text) || s.text[s.pos] != '"' {
		return nil, 0, s.notJSON("needs a key in double quotes")
	}
	start := s.pos
	escaped, ok := s.string()
	if !ok {
		return nil, 0, false
	}
	name := s.text[start+1 : s.pos-1]
	s.path[s.depth-1] = step{start: int32(start + 1), end: int32(s.pos - 1)}
	s.space()
	if !s.next(':') {
		return nil, 0, s.notJSON("needs a colon after the key")
	}
	s.space()
	switch {
	case want == nil:
		return nil, 0, true
	case want.kind == table:
		return want.elem, 0, true
	}
	f, known := want.fields[string(name)]
	if escaped {
		var plain string
		_ = json.Unmarshal(s.text[start:start+len(name)+2], &plain)
		f, known = want.fields[plain]
	}
	if !known {
		s.note("is not a field here: want one of " + want.known())
	}
	return f.shape, f.bit, true
}

// list reads a list, no further than its limits.
func (s *scanner) list(want *shape) bool {
	s.pos++
	if !s.enter() {
		return false
	}
	var item *shape
	var maxItems, maxBytes int
	if want != nil {
		item, maxItems, maxBytes = want.elem, want.maxItems, want.maxBytes
	}
	for i := 0; ; i++ {
		s.space()
		if i == 0 && s.next(']') {
			break
		}
		if maxItems > 0 && i == maxItems {
			s.leave()
			return s.stop(Invalid, fmt.Sprintf("must be at most %d items", maxItems))
		}
		s.path[s.depth-1] = step{index: int32(i)}
		start := s.pos
		if !s.value(item, false) {
			return false
		}
		if maxBytes > 0 && s.pos-start > maxBytes {
			return s.stop(TooLarge, fmt.Sprintf("must be at most %d bytes", maxBytes))
		}
		s.space()
		if s.next(']') {
			break
		}
		if !s.next(',') {
			return s.notJSON("needs a comma or a closing bracket after it")
		}
	}
	s.leave()
	return true
}
