package db_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// spec_fields is what the Go types are.
func TestScheduleKnowsTheFields(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	types := []reflect.Type{reflect.TypeFor[minoots.TimerSpec]()}
	for i := 0; i < len(types); i++ {
		var want, got []string
		for f := range fieldsOf(types[i]) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			kind, inner := kindOf(f.Type)
			if inner != nil && !slices.Contains(types, inner) {
				types = append(types, inner)
			}
			if !strings.Contains(options, "omitempty") {
				kind += "!"
			}
			want = append(want, name+" "+kind)
		}
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT minoots.spec_fields($1)", types[i].Name()).Scan(&got))
		assert.Equal(t, want, got, types[i].Name())
	}
	assert.Len(t, types, 9)
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// kindOf is a type in the words of spec_fields, and the record in it.
func kindOf(t reflect.Type) (string, reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[minoots.Duration]():
		return "duration", nil
	case reflect.TypeFor[minoots.Instant]():
		return "instant", nil
	case reflect.TypeFor[json.RawMessage]():
		return "any", nil
	case reflect.TypeFor[map[string]string]():
		return "table", nil
	case reflect.TypeFor[[]string]():
		return "texts", nil
	case reflect.TypeFor[[]minoots.Action]():
		return "actions", t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return t.Name(), t
	case reflect.String:
		return "text", nil
	case reflect.Float64:
		return "number", nil
	case reflect.Int, reflect.Int64:
		return "whole", nil
	default:
		return t.String(), nil
	}
}
