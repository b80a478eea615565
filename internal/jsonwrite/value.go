package jsonwrite

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/minoots/minoots"
)

const instantLayout = "2006-01-02T15:04:05.000000Z"

// writeInstant is Instant.MarshalJSON, without the copy.
func writeInstant(b []byte, v reflect.Value, _ bool) ([]byte, error) {
	return appendInstant(b, *v.Addr().Interface().(*minoots.Instant)), nil
}

// appendInstant writes RFC 3339 with six digits. time.Time.AppendFormat, which reads
// the layout each time, takes three times as long; years of more than four digits are
// left to it.
func appendInstant(b []byte, i minoots.Instant) []byte {
	at := i.UTC()
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		b = at.AppendFormat(append(b, '"'), instantLayout)
		return append(b, '"')
	}
	hour, minute, second := at.Clock()
	micros := at.Nanosecond() / 1000
	b = appendTwo(append(b, '"'), year/100)
	b = append(appendTwo(b, year%100), '-')
	b = append(appendTwo(b, int(month)), '-')
	b = append(appendTwo(b, day), 'T')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	b = append(appendTwo(b, second), '.')
	b = appendTwo(appendTwo(appendTwo(b, micros/10_000), micros/100%100), micros%100)
	return append(b, 'Z', '"')
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

func writeID(b []byte, v reflect.Value, _ bool) ([]byte, error) {
	text, err := v.Addr().Interface().(*minoots.ID).MarshalText()
	b = append(append(b, '"'), text...)
	return append(b, '"'), err
}

func writeDuration(b []byte, v reflect.Value, html bool) ([]byte, error) {
	return appendString(b, minoots.Duration(v.Int()).String(), html), nil
}

// writeFloat writes what JavaScript would, as encoding/json does; most are small
// whole numbers.
func writeFloat(b []byte, v reflect.Value, html bool) ([]byte, error) {
	f := v.Float()
	if whole := math.Trunc(f); whole == f && math.Abs(f) < 1<<53 && (f != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(b, int64(f), 10), nil
	}
	return appendOther(b, f, html)
}

// plain are the bytes that stand for themselves in any string.
var plain = func() (is [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		is[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return is
}()

// appendString writes a string that needs no escapes, and leaves others to
// encoding/json.
func appendString(b []byte, s string, html bool) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			if !html && (c == '<' || c == '>' || c == '&') {
				i++
				continue
			}
			return appendEscaped(b, s, html)
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			return appendEscaped(b, s, html)
		}
		i += size
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string, html bool) []byte {
	b, _ = appendOther(b, s, html) // any string can be written
	return b
}

// appendOther writes by encoding/json.
func appendOther(b []byte, v any, html bool) ([]byte, error) {
	to := bytes.NewBuffer(b)
	e := json.NewEncoder(to)
	e.SetEscapeHTML(html)
	if err := e.Encode(v); err != nil {
		return b, err
	}
	return to.Bytes()[:to.Len()-1], nil // without Encode's new line
}

// writeRaw writes raw JSON without its white space; nil is null.
func writeRaw(b []byte, v reflect.Value, html bool) ([]byte, error) {
	raw := v.Bytes()
	switch {
	case len(raw) > 0:
		return appendCompact(b, raw, html), nil
	case v.IsNil() || v.Type() == reflect.TypeFor[minoots.RawJSON]():
		return append(b, "null"...), nil
	}
	return b, errNoJSON
}

// appendCompact copies what stands between white space and, in strings, between
// characters that HTML or JavaScript would take for something else.
func appendCompact(b, raw []byte, html bool) []byte {
	const hex = "0123456789abcdef"
	copied, inString := 0, false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '"':
			inString = !inString
		case !inString:
			if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
				b = append(b, raw[copied:i]...)
				copied = i + 1
			}
		case c == '\\':
			i++
		case html && (c == '<' || c == '>' || c == '&'):
			b = append(append(b, raw[copied:i]...), '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			copied = i + 1
		case html && c == 0xe2 && i+2 < len(raw) && raw[i+1] == 0x80 && raw[i+2]&^1 == 0xa8:
			b = append(append(b, raw[copied:i]...), '\\', 'u', '2', '0', '2', hex[raw[i+2]&0xf])
			copied, i = i+3, i+2
		}
	}
	return append(b, raw[min(copied, len(raw)):]...)
}
