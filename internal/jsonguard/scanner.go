package jsonguard

import (
	"fmt"
)

// scanner reads a text once, from left to right, and stores what it reads where it
// has a place to (store.go). Its methods give false when the reading has to end; a
// mistake that lets it go on is only noted.
type scanner struct {
	text     []byte
	pos      int
	maxDepth int
	trial    bool // let custom values decode, to find the one that does not
	refused  bool // a custom value did not decode: nothing more is stored
	seen     interned

	path   [deepest]step // where in the text, of which depth steps are in use
	depth  int
	reason Reason
	bad    []Field
}

func (s *scanner) document(want *shape, to place) bool {
	s.space()
	if s.pos == len(s.text) {
		return s.stop(NotJSON, "is empty: want a JSON object")
	}
	if !s.value(want, false, to) {
		return false
	}
	s.space()
	if s.pos != len(s.text) {
		return s.notJSON("goes on after its end")
	}
	return true
}

// value reads one value. Null is taken where a field may be left out.
func (s *scanner) value(want *shape, optional bool, to place) bool {
	if s.pos == len(s.text) {
		return s.notJSON("ends too early")
	}
	start := s.pos
	var ok bool
	switch c := s.text[s.pos]; c {
	case '{':
		ok = s.object(s.fit(want, record, table), to)
	case '[':
		ok = s.list(s.fit(want, list, list), to)
	case '"':
		fits, escaped := s.fit(want, text, text), false
		if escaped, ok = s.string(); ok && fits != nil {
			s.storeText(start, escaped, to)
		}
	case 't':
		storeBool(s.fit(want, boolean, boolean), true, to)
		ok = s.word("true")
	case 'f':
		storeBool(s.fit(want, boolean, boolean), false, to)
		ok = s.word("false")
	case 'n':
		if want != nil && !optional {
			s.note("must not be null")
		}
		s.storeNull(want, to)
		return s.word("null")
	default:
		fits := s.fit(want, number, whole)
		if ok = s.number(fits); ok && fits != nil {
			s.storeNumber(fits, start, to)
		}
	}
	if ok && (want == nil || want.kind == custom) {
		if s.trial && want != nil {
			s.try(want, s.text[start:s.pos])
		}
		s.storeRaw(want, start, to)
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
func (s *scanner) object(want *shape, to place) bool {
	s.pos++
	if !s.enter() {
		return false
	}
	into := openObject(want, to)
	var seen uint64
	for first := true; ; first = false {
		s.space()
		if first && s.next('}') {
			break
		}
		start := s.pos
		f, escaped, ok := s.key(want)
		if !ok {
			return false
		}
		if seen&f.bit != 0 {
			s.note("stands twice")
		}
		seen |= f.bit
		key, end := start, int(s.path[s.depth-1].end)+1
		if !s.value(f.shape, want != nil && want.kind == record && want.required&f.bit == 0, into.at(&f)) {
			return false
		}
		if into.isTable() {
			into.put(s.plain(key, end, escaped))
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
func (s *scanner) key(want *shape) (f field, escaped, ok bool) {
	s.path[s.depth-1] = step{index: -1}
	if s.pos == len(s.text) || s.text[s.pos] != '"' {
		return f, false, s.notJSON("needs a key in double quotes")
	}
	start := s.pos
	escaped, ok = s.string()
	if !ok {
		return f, false, false
	}
	name := s.text[start+1 : s.pos-1]
	s.path[s.depth-1] = step{start: int32(start + 1), end: int32(s.pos - 1)}
	s.space()
	if !s.next(':') {
		return f, false, s.notJSON("needs a colon after the key")
	}
	s.space()
	switch {
	case want == nil:
		return f, escaped, true
	case want.kind == table:
		return field{shape: want.elem}, escaped, true
	}
	f, known := want.fields[string(name)]
	if escaped {
		f, known = want.fields[s.plain(start, start+len(name)+2, true)]
	}
	if !known {
		s.note("is not a field here: want one of " + want.known())
	}
	return f, escaped, true
}

// list reads a list, no further than its limits.
func (s *scanner) list(want *shape, to place) bool {
	s.pos++
	if !s.enter() {
		return false
	}
	to = openList(want, to)
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
		if !s.value(item, false, itemOf(to, i)) {
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
