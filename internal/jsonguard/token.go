package jsonguard

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNumber is the longest number: enough for any float64 or int64, and no room
// for one that costs a reader hours.
const maxNumber = 64

// space skips white space.
func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// next steps over c if it comes next.
func (s *scanner) next(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.pos < len(w) || string(s.text[s.pos:s.pos+len(w)]) != w {
		return s.notJSON("is not JSON")
	}
	s.pos += len(w)
	return true
}

// string steps over a string and tells whether it has escapes.
func (s *scanner) string() (escaped, ok bool) {
	s.pos++
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case c == '"':
			s.pos++
			return escaped, true
		case c == '\\':
			escaped = true
			if !s.escape() {
				return true, false
			}
		case c < ' ':
			return false, s.notJSON("has a control character that is not escaped")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.text[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return false, s.stop(Invalid, "must be valid UTF-8")
			}
			s.pos += size
		}
	}
	return false, s.notJSON("ends too early")
}

// escape steps over a backslash and what it stands before. It refuses what has
// no place in a Postgres text or in UTF-8.
func (s *scanner) escape() bool {
	if s.pos+1 == len(s.text) {
		return s.notJSON("ends too early")
	}
	switch s.text[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return true
	case 'u':
		r, ok := s.unicode(s.pos)
		if !ok {
			return s.notJSON(`has a \u that four hexadecimal digits do not follow`)
		}
		if r == 0 {
			return s.stop(Invalid, "must not contain the NUL character")
		}
		s.pos += 6
		if !utf16.IsSurrogate(r) {
			return true
		}
		low, _ := s.unicode(s.pos)
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return s.stop(Invalid, "must not contain half of a surrogate pair")
		}
		s.pos += 6
		return true
	default:
		return s.notJSON("has a backslash before a character that needs none")
	}
}

// unicode reads a \uXXXX that begins at the position.
func (s *scanner) unicode(at int) (rune, bool) {
	if len(s.text)-at < 6 || s.text[at] != '\\' || s.text[at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.text[at+2 : at+6] {
		switch {
		case digit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number by the grammar of RFC 8259, section 6.
func (s *scanner) number(want *shape) bool {
	start := s.pos
	s.next('-')
	if !s.next('0') && !s.digits() {
		return s.notJSON("is not JSON")
	}
	integer, exponent := true, false
	if s.next('.') {
		integer = false
		if !s.digits() {
			return s.notJSON("has a number without a digit after its point")
		}
	}
	if s.next('e') || s.next('E') {
		integer, exponent = false, true
		_ = s.next('+') || s.next('-')
		if !s.digits() {
			return s.notJSON("has a number without a digit in its exponent")
		}
	}
	raw := s.text[start:s.pos]
	switch {
	case len(raw) > maxNumber:
		return s.stop(Invalid, "must be a number of at most "+strconv.Itoa(maxNumber)+" characters")
	case exponent && !finite(raw):
		return s.stop(Invalid, "must be a number that a 64-bit float can hold")
	case want != nil && want.kind == whole && (!integer || !fits(raw, want.bits)):
		s.note("must be a whole number of " + strconv.Itoa(want.bits) + " bits")
	}
	return true
}

// digits steps over at least one digit.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.text) && digit(s.text[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// maxExponent is beyond what a 64-bit float has, and far below what Postgres's
// numeric refuses: 1e-200000 underflows to a harmless 0 here and is an error there.
const maxExponent = 400

func finite(raw []byte) bool {
	if at := bytes.IndexAny(raw, "eE"); at >= 0 {
		exponent, err := strconv.Atoi(string(raw[at+1:]))
		if err != nil || exponent > maxExponent || exponent < -maxExponent {
			return false
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return err == nil && !math.IsInf(f, 0)
}

// fits tells whether a whole number has at most so many bits; up to nine digits
// have less than 32.
func fits(raw []byte, bits int) bool {
	if len(raw) <= 9 && bits >= 32 {
		return true
	}
	_, err := strconv.ParseInt(string(raw), 10, bits)
	return err == nil
}
