package jsonguard_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/jsonguard"
)

// all has every shape that a value may be stored in. word decodes itself, and
// refuses what is no string.
type all struct {
	Name    string             `json:"name,omitempty"`
	Word    word               `json:"word,omitempty"`
	Pointer *word              `json:"pointer,omitempty"`
	At      time.Time          `json:"at,omitempty"`
	Small   int16              `json:"small,omitempty"`
	Count   *int64             `json:"count,omitempty"`
	Ratio   float64            `json:"ratio,omitempty"`
	On      *bool              `json:"on,omitempty"`
	Any     any                `json:"any,omitempty"`
	Raw     json.RawMessage    `json:"raw,omitempty"`
	RawAt   *json.RawMessage   `json:"rawAt,omitempty"`
	Texts   map[string]string  `json:"texts,omitempty"`
	Named   map[name]*float64  `json:"named,omitempty"`
	Tables  map[string][]int32 `json:"tables,omitempty"`
	Inner   *all               `json:"inner,omitempty"`
	List    []all              `json:"list,omitempty"`
	Lists   [][]string         `json:"lists,omitempty"`
	private int
}

type name string

type word string

func (w *word) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*w = word("w:" + s)
	return nil
}

var lenient = jsonguard.New[all](maxDepth)

// allTexts are decoded exactly, the first ones, or left to encoding/json.
var allTexts = []struct {
	text  string
	exact bool
}{
	{`{}`, true},
	{`{"name":"é\n\u00e9","word":"x","pointer":"y","at":"2026-11-23T09:00:00.5+01:00","small":-32768,"count":0,"ratio":-0,"on":false}`, true},
	{`{"any":{"a":[1,"b",null]},"raw": [ 1, {} ] ,"rawAt":"x","texts":{"b":"1","a":"2","a":"3","\u0062":"4"},"named":{"x":1e2}}`, true},
	{`{"tables":{"a":[1,2],"b":[]},"inner":{"list":[{},{"name":"a"}]},"lists":[["a"],[],["b","c"]],"list":[]}`, true},
	{`{"name":null,"word":null,"pointer":null,"at":null,"small":null,"count":null,"any":null,"raw":null,"rawAt":null,` +
		`"texts":null,"named":null,"inner":null,"list":null,"lists":null}`, true},
	{`{"NAME":"case","unknown":1}`, false},
	{`{"name":"first","name":"second"}`, false},
	{`{"texts":{"a":null},"list":[null],"named":{"x":null}}`, false},
	{`{"inner":{"name":"kept","list":[{"name":"x"}]},"name":"\ud800","raw":"\u0000"}`, false},
	{`{"list":[{"name":"half"},{"name":"written","small":99999}]}`, false},
	{`{"word":1}`, false},
	{`null`, false},
	{`[]`, false},
	{`{"any":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}`, false},
	{`{"name":"cut`, false},
	{``, false},
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for _, c := range allTexts {
		assert.Equal(t, c.exact, sameAsEncodingJSON(t, c.text), c.text)
	}
}

// sameAsEncodingJSON holds Unmarshal against what it stands for, and tells whether
// it took the text exactly.
func sameAsEncodingJSON(t *testing.T, text string) bool {
	t.Helper()
	got, want := all{Name: "before"}, all{Name: "before"}
	exact, err := lenient.Unmarshal([]byte(text), &got)
	wantErr := json.Unmarshal([]byte(text), &want)
	require.Equal(t, want, got, text)
	if wantErr == nil {
		require.NoError(t, err, text)
	} else {
		require.EqualError(t, err, wantErr.Error(), text)
	}
	return exact
}

func TestDecodeTellsWhichValuesRefuse(t *testing.T) {
	t.Parallel()
	err := lenient.Decode([]byte(`{"word":1,"list":[{"word":"x"},{"pointer":[]}],"at":2}`), new(all))
	var e *jsonguard.Error
	require.ErrorAs(t, err, &e)
	paths := make([]string, 0, len(e.Fields))
	for _, f := range e.Fields {
		paths = append(paths, f.Path)
	}
	assert.Equal(t, []string{"word", "list[1].pointer", "at"}, paths, "all of them, in the text's order")
}

// TestDecodeKeepsNothingOfTheText: the API's buffers are used again.
func TestDecodeKeepsNothingOfTheText(t *testing.T) {
	t.Parallel()
	text := []byte(`{"name":"name","word":"word","raw":{"a":1},"texts":{"key":"value"},"any":"any"}`)
	var got, want all
	require.NoError(t, json.Unmarshal(text, &want))
	require.NoError(t, lenient.Decode(text, &got))
	for i := range text {
		text[i] = 'X'
	}
	assert.Equal(t, want, got)
}

// FuzzUnmarshal: whatever the text, the result and the error are encoding/json's.
func FuzzUnmarshal(f *testing.F) {
	for _, c := range allTexts {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) { sameAsEncodingJSON(t, text) })
}
