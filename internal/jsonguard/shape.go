package jsonguard

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// shape is what JSON a Go type takes. A nil shape takes any.
type shape struct {
	kind     kind
	fields   map[string]field // of a record
	required uint64           // the bits of the fields that must be there
	names    []string         // of the fields; the index is the bit
	elem     *shape           // of a list's items and a table's values
	maxItems int              // of a list
	maxBytes int              // of each item's text
	bits     int              // of a whole number
	typ      reflect.Type     // of a value that decodes itself
}

type field struct {
	shape *shape
	bit   uint64
	index int // of the struct's fields, and one more: 0 is of none
}

type kind int

const (
	record kind = iota // an object with known fields
	table              // an object with free keys
	list
	text
	number
	whole
	boolean
	custom // decodes itself
)

var wants = [...]string{
	record: "an object", table: "an object", list: "a list", text: "a string",
	number: "a number", whole: "a whole number", boolean: "true or false",
}

var (
	rawMessage      = reflect.TypeFor[json.RawMessage]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// shapes remembers what has been built, which ends the recursion of a type that
// contains itself.
type shapes map[reflect.Type]*shape

func (all shapes) of(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawMessage || t.Kind() == reflect.Interface {
		return nil
	}
	if s, ok := all[t]; ok {
		return s
	}
	s := &shape{typ: t}
	all[t] = s
	if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textUnmarshaler) {
		s.kind = custom
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s.kind = text
	case reflect.Bool:
		s.kind = boolean
	case reflect.Float64:
		s.kind = number
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind, s.bits = whole, t.Bits()
	case reflect.Slice:
		s.kind, s.elem = list, all.of(t.Elem())
	case reflect.Map:
		s.kind, s.elem = table, all.of(t.Elem())
	case reflect.Struct:
		all.addFields(s, t)
	default:
		panic(fmt.Sprintf("jsonguard: %s has no JSON shape", t))
	}
	return s
}

func (all shapes) addFields(s *shape, t reflect.Type) {
	s.kind, s.fields = record, make(map[string]field, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Anonymous || len(s.names) == 64 {
			panic(fmt.Sprintf("jsonguard: %s.%s: every field needs a json name, none may be embedded, and 64 are the most", t, f.Name))
		}
		bit := uint64(1) << len(s.names)
		s.names = append(s.names, name)
		if !strings.Contains(options, "omitempty") {
			s.required |= bit
		}
		s.fields[name] = field{shape: limited(all.of(f.Type), f.Tag), bit: bit, index: i + 1}
	}
}

func (s *shape) known() string { return strings.Join(s.names, ", ") }

// limited gives the shape with the bounds that a field's tags set.
func limited(s *shape, tag reflect.StructTag) *shape {
	items, bytes := intTag(tag, "maxItems"), intTag(tag, "maxBytes")
	if items == 0 && bytes == 0 {
		return s
	}
	own := *s
	own.maxItems, own.maxBytes = items, bytes
	return &own
}

func intTag(tag reflect.StructTag, key string) int {
	value, ok := tag.Lookup(key)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		panic("jsonguard: tag " + key + " is not a number: " + value)
	}
	return n
}
