package jsonguard

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
)

// place is where a value goes; the zero Value if it is only looked at.
type place = reflect.Value

// inside follows pointers, and makes what they are to point at.
func inside(to place) place {
	for to.Kind() == reflect.Pointer {
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		}
		to = to.Elem()
	}
	return to
}

// object is the place of an object's fields or values.
type object struct {
	record place
	table  place
	texts  *map[string]string // the table, if it is such: most are
	value  place              // of the table's next entry
}

func openObject(want *shape, to place) (o object) {
	if want == nil || !to.IsValid() {
		return o
	}
	to = inside(to)
	if want.kind == record {
		o.record = to
		return o
	}
	if to.IsNil() {
		to.Set(reflect.MakeMap(to.Type()))
	}
	o.table, o.value = to, reflect.New(to.Type().Elem()).Elem()
	if to.Type() == tableOfTexts {
		o.texts = to.Addr().Interface().(*map[string]string)
	}
	return o
}

var tableOfTexts = reflect.TypeFor[map[string]string]()

func (o *object) isTable() bool { return o.table.IsValid() }

// at is where the value of a field goes; that of a table's entry goes to put from
// there.
func (o *object) at(f *field) place {
	switch {
	case o.record.IsValid() && f.index > 0:
		return o.record.Field(f.index - 1)
	case o.isTable():
		o.value.SetZero()
		return o.value
	}
	return place{}
}

func (o *object) put(key string) {
	if o.texts != nil {
		(*o.texts)[key] = o.value.String()
		return
	}
	o.table.SetMapIndex(reflect.ValueOf(key).Convert(o.table.Type().Key()), o.value)
}

func openList(want *shape, to place) place {
	if want == nil || !to.IsValid() {
		return place{}
	}
	to = inside(to)
	to.Set(reflect.MakeSlice(to.Type(), 0, 0)) // not nil, even if there is no item
	return to
}

func itemOf(list place, i int) place {
	if !list.IsValid() {
		return list
	}
	list.Grow(1)
	list.SetLen(i + 1)
	return list.Index(i)
}

func storeBool(want *shape, is bool, to place) {
	if want != nil && to.IsValid() {
		inside(to).SetBool(is)
	}
}

func (s *scanner) storeText(start int, escaped bool, to place) {
	if to.IsValid() {
		inside(to).SetString(s.plain(start, s.pos, escaped))
	}
}

// storeNumber stores what number has found to be in range; what it has noted not
// to be stays as it is.
func (s *scanner) storeNumber(want *shape, start int, to place) {
	if !to.IsValid() {
		return
	}
	raw := string(s.text[start:s.pos])
	if want.kind == whole {
		if n, err := strconv.ParseInt(raw, 10, want.bits); err == nil {
			inside(to).SetInt(n)
		}
		return
	}
	if f, err := strconv.ParseFloat(raw, 64); err == nil {
		inside(to).SetFloat(f)
	}
}

// storeNull does as encoding/json: pointers, tables and lists become nil, a value
// that decodes itself is told, and others stay as they are.
func (s *scanner) storeNull(want *shape, to place) {
	if !to.IsValid() {
		return
	}
	if to.Kind() != reflect.Pointer && (want == nil || want.kind == custom) && to.CanAddr() {
		if u, ok := to.Addr().Interface().(json.Unmarshaler); ok {
			s.refused = u.UnmarshalJSON([]byte("null")) != nil || s.refused
			return
		}
	}
	switch to.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		to.SetZero()
	}
}

// storeRaw stores what has no shape, or decodes itself.
func (s *scanner) storeRaw(want *shape, start int, to place) {
	if !to.IsValid() || s.refused {
		return
	}
	to, raw := inside(to), s.text[start:s.pos]
	if to.Type() == rawMessage {
		to.SetBytes(bytes.Clone(raw))
		return
	}
	var err error
	switch v := to.Addr().Interface().(type) {
	case json.Unmarshaler:
		err = v.UnmarshalJSON(raw)
	case encoding.TextUnmarshaler:
		if raw[0] != '"' {
			s.refused = true
			return
		}
		err = v.UnmarshalText([]byte(s.plain(start, s.pos, bytes.IndexByte(raw, '\\') >= 0)))
	default:
		err = json.Unmarshal(raw, v)
	}
	s.refused = err != nil
}

// plain gives the string in a range of the text, quotes included.
func (s *scanner) plain(start, end int, escaped bool) string {
	if !escaped {
		return s.seen.get(s.text[start+1 : end-1])
	}
	var plain string
	_ = json.Unmarshal(s.text[start:end], &plain) // it has been read, so it is a string
	return plain
}

// interned holds short strings that were read before, be it in another text: a batch
// says the same kinds, names and keys a thousand times, and need not hold each a
// thousand times.
type interned [64]string

func (t *interned) get(b []byte) string {
	const longest = 32
	if len(b) == 0 || len(b) > longest {
		return string(b)
	}
	slot := &t[(int(b[0])+31*int(b[len(b)-1])+7*len(b)+int(b[len(b)/2]))%len(t)]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
