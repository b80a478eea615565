package jsonguard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/jsonguard"
)

type document struct {
	Name   string            `json:"name"`
	Count  int32             `json:"count,omitempty"`
	Ratio  float64           `json:"ratio,omitempty"`
	On     bool              `json:"on,omitempty"`
	At     *time.Time        `json:"at,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Extra  json.RawMessage   `json:"extra,omitempty"`
	Parts  []part            `json:"parts,omitempty" maxItems:"3" maxBytes:"100"`
}

type part struct {
	ID   string    `json:"id"`
	Next *document `json:"next,omitempty"`
}

const maxDepth = 8

var decoder = jsonguard.New[document](maxDepth)

func TestDecode(t *testing.T) {
	t.Parallel()
	var got document
	require.NoError(t, decoder.Decode([]byte(` {"name":"\u00e9\ud83d\ude00é","count":-2147483648,"ratio":1.5e3,"on":true,
		"at":"2026-11-23T09:00:00Z","labels":{"a":"b"},"extra":{"any":[1,null,{"x":1e308}]},
		"parts":[{"id":"p","next":{"n\u0061me":"inner","labels":null}}]} `), &got))
	assert.Equal(t, "é😀é", got.Name)
	assert.EqualValues(t, -2147483648, got.Count)
	assert.Equal(t, "inner", got.Parts[0].Next.Name)
	assert.JSONEq(t, `{"any":[1,null,{"x":1e308}]}`, string(got.Extra))
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, c := range []struct {
		text    string
		reason  jsonguard.Reason
		path    string
		message string
	}{
		{``, jsonguard.NotJSON, "", "is empty"},
		{`nonsense`, jsonguard.NotJSON, "", "is not JSON, at byte 0"},
		{`{"name":"a"`, jsonguard.NotJSON, "name", "needs a comma or a closing brace"},
		{`{"name":"a",}`, jsonguard.NotJSON, "", "needs a key"},
		{`{"name" "a"}`, jsonguard.NotJSON, "name", "needs a colon"},
		{`{"name":"a"} {}`, jsonguard.NotJSON, "", "goes on after its end"},
		{`{"extra":[1,]}`, jsonguard.NotJSON, "extra[1]", "is not JSON"},
		{`{"extra":01}`, jsonguard.NotJSON, "extra", "needs a comma"},
		{`{"extra":1.}`, jsonguard.NotJSON, "extra", "digit after its point"},
		{`{"extra":-}`, jsonguard.NotJSON, "extra", "is not JSON"},
		{`{"extra":1e}`, jsonguard.NotJSON, "extra", "digit in its exponent"},
		{`{"extra":tru}`, jsonguard.NotJSON, "extra", "is not JSON"},
		{"{\"name\":\"a\x00\"}", jsonguard.NotJSON, "name", "control character"},
		{`{"name":"\x"}`, jsonguard.NotJSON, "name", "backslash"},
		{`{"name":"\u12"}`, jsonguard.NotJSON, "name", "hexadecimal"},
		{`{"name":"`, jsonguard.NotJSON, "name", "ends too early"},

		{`[]`, jsonguard.Invalid, "", "must be an object"},
		{`null`, jsonguard.Invalid, "", "must not be null"},
		{`{}`, jsonguard.Invalid, "name", "is missing"},
		{`{"name":null}`, jsonguard.Invalid, "name", "must not be null"},
		{`{"name":1}`, jsonguard.Invalid, "name", "must be a string"},
		{`{"name":"a","name":"b"}`, jsonguard.Invalid, "name", "stands twice"},
		{`{"name":"a","Name":"b"}`, jsonguard.Invalid, "Name", "is not a field here: want one of name, count"},
		{`{"name":"a","count":1.0}`, jsonguard.Invalid, "count", "whole number of 32 bits"},
		{`{"name":"a","count":2147483648}`, jsonguard.Invalid, "count", "whole number of 32 bits"},
		{`{"name":"a","ratio":"1"}`, jsonguard.Invalid, "ratio", "must be a number"},
		{`{"name":"a","on":0}`, jsonguard.Invalid, "on", "must be true or false"},
		{`{"name":"a","at":"yesterday"}`, jsonguard.Invalid, "at", "cannot parse"},
		{`{"name":"a","labels":{"k":1}}`, jsonguard.Invalid, "labels.k", "must be a string"},
		{`{"name":"a","labels":{"k":null}}`, jsonguard.Invalid, "labels.k", "must not be null"},
		{`{"name":"a","parts":{}}`, jsonguard.Invalid, "parts", "must be a list"},
		{`{"name":"a","parts":[{"id":"x"},{}]}`, jsonguard.Invalid, "parts[1].id", "is missing"},
		{`{"name":"a","parts":[{"id":"x","next":{"name":2}}]}`, jsonguard.Invalid, "parts[0].next.name", "must be a string"},
		{`{"name":"a","parts":[{},{},{},nonsense`, jsonguard.Invalid, "parts", "at most 3 items"},
		{`{"name":"\u0000"}`, jsonguard.Invalid, "name", "NUL"},
		{`{"extra":{"a\u0000":1}}`, jsonguard.Invalid, "extra", "NUL"},
		{`{"extra":["\ud800"]}`, jsonguard.Invalid, "extra[0]", "surrogate"},
		{`{"extra":"\udc00\ud800"}`, jsonguard.Invalid, "extra", "surrogate"},
		{"{\"name\":\"\xff\"}", jsonguard.Invalid, "name", "UTF-8"},
		{`{"extra":` + deep + `}`, jsonguard.Invalid, "extra[0][0][0][0][0][0][0]", "nested more than 8 deep"},
		{`{"extra":1e400}`, jsonguard.Invalid, "extra", "64-bit float"},
		{`{"extra":1e-200000}`, jsonguard.Invalid, "extra", "64-bit float"},
		{`{"extra":` + strings.Repeat("9", 65) + `}`, jsonguard.Invalid, "extra", "at most 64 characters"},
		{`{"` + strings.Repeat("long", 20) + `":1,"name":""}`, jsonguard.Invalid, strings.Repeat("long", 10) + "…", "is not a field"},
		{`{"name":"a","parts":[{"id":"` + strings.Repeat("x", 100) + `"}]}`, jsonguard.TooLarge, "parts[0]", "at most 100 bytes"},
	} {
		var err *jsonguard.Error
		require.ErrorAs(t, decoder.Decode([]byte(c.text), new(document)), &err, c.text)
		assert.Equal(t, c.reason, err.Reason, c.text)
		assert.Equal(t, c.path, err.Fields[0].Path, c.text)
		assert.Contains(t, err.Fields[0].Message, c.message, c.text)
	}
}

func TestDecodeReportsAllFields(t *testing.T) {
	t.Parallel()
	err := decoder.Decode([]byte(`{"count":"x","nme":1,"parts":[{}]}`), new(document))
	assert.EqualError(t, err, "invalid JSON; count must be a whole number; "+
		"nme is not a field here: want one of name, count, ratio, on, at, labels, extra, parts; "+
		"parts[0].id is missing; name is missing")
}

func TestNewRefusesTypesWithoutShape(t *testing.T) {
	t.Parallel()
	assert.Panics(t, func() { jsonguard.New[struct{ C chan int }](1) })
	assert.Panics(t, func() { jsonguard.New[chan int](1) })
	assert.Panics(t, func() { jsonguard.New[int](1000) })
}

// FuzzDecode holds the guard against encoding/json: what it lets pass is JSON and
// decodes strictly, and it calls nothing malformed that is not.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","parts":[{"id":"x","next":{"name":"b"}}]}`, `{"name":"\ud83d\ude00","count":1e2}`,
		`{"name":"a","extra":[1.5e-3,{"a":null}],"at":"2026-11-23T09:00:00Z"}`, `{"n\u0061me":"a","labels":{"a":"b"}}`,
		`{"name":"\u0000"`, `[[[[[[[[[[`, `{"name":"a","at":1}`, `{"name":"a"}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want document
		err := decoder.Decode(text, &got)
		if err != nil {
			var e *jsonguard.Error
			require.True(t, errors.As(err, &e) && len(e.Fields) > 0)
			require.False(t, e.Reason == jsonguard.NotJSON && json.Valid(text), "%s", err)
			require.NotEqual(t, "does not decode", e.Fields[0].Message)
			return
		}
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields()
		require.NoError(t, strict.Decode(&want))
		require.Equal(t, want, got)
	})
}
