package jsonguard

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

const (
	// maxFields bounds how many mistakes one error lists.
	maxFields = 20
	// maxKey bounds what of a key a path repeats.
	maxKey = 40
	// deepest is the most that a Decoder's maxDepth may be.
	deepest = 128
)

// step is one part of a path: a key, as a range of the text, or an index, or
// neither yet, which is an index of -1.
type step struct{ start, end, index int32 }

func (s *scanner) enter() bool {
	if s.depth == s.maxDepth {
		s.depth = min(s.depth, 8) // of so long a path, the beginning will do
		return s.stop(Invalid, fmt.Sprintf("must not be nested more than %d deep", s.maxDepth))
	}
	s.path[s.depth] = step{index: -1}
	s.depth++
	return true
}

func (s *scanner) leave() { s.depth-- }

// where writes the path, "actionBundle.actions[2].id".
func (s *scanner) where() string {
	var b strings.Builder
	for _, p := range s.path[:s.depth] {
		switch {
		case p.end > 0:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			key := s.text[p.start:p.end]
			b.WriteString(strings.ToValidUTF8(string(key[:min(len(key), maxKey)]), ""))
			if len(key) > maxKey {
				b.WriteString("…")
			}
		case p.index >= 0:
			b.WriteString("[" + strconv.Itoa(int(p.index)) + "]")
		}
	}
	return b.String()
}

// note remembers a mistake at the present place.
func (s *scanner) note(message string) { s.noteAt(s.where(), message) }

func (s *scanner) noteAt(path, message string) {
	if len(s.bad) < maxFields {
		s.bad = append(s.bad, Field{Path: path, Message: message})
	}
}

// stop ends the reading with a mistake that makes what else was noted unimportant.
func (s *scanner) stop(reason Reason, message string) bool {
	s.reason = reason
	s.bad = []Field{{Path: s.where(), Message: message}}
	return false
}

func (s *scanner) notJSON(message string) bool {
	return s.stop(NotJSON, fmt.Sprintf("%s, at byte %d", message, s.pos))
}

// missing notes the required fields that are not among the seen.
func (s *scanner) missing(want *shape, seen uint64) {
	at := s.where()
	if at != "" {
		at += "."
	}
	for i, name := range want.names {
		if bit := uint64(1) << i; want.required&^seen&bit != 0 {
			s.noteAt(at+name, "is missing")
		}
	}
}

// try lets a value that decodes itself do so.
func (s *scanner) try(want *shape, raw []byte) {
	v := reflect.New(want.typ).Interface()
	var err error
	if u, ok := v.(json.Unmarshaler); ok {
		err = u.UnmarshalJSON(raw)
	} else if raw[0] != '"' {
		s.note("must be a string")
	} else {
		var plain string
		_ = json.Unmarshal(raw, &plain)
		err = v.(encoding.TextUnmarshaler).UnmarshalText([]byte(plain))
	}
	if err != nil {
		s.note(err.Error())
	}
}
