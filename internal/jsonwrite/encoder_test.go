package jsonwrite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonwrite"
)

// odd are texts with all that is escaped, and some that is not.
var odd = []string{
	"", "plain", `a"b\c`, "<b>&amp;</b>", "line\nnew\ttab\r\b\f\x00\x1f\x7f", "é😀", "\u2028\u2029", "\xff broken \xe2\x80",
	"a very long text that is longer than any buffer that somebody may think of, and then a bit longer still",
}

var oddRaw = []string{
	`null`, `{}`, ` { "a" : [ 1 , 2.50 , -0 , 1e9 ] , "b c" : "d  e" } `, `"\"<&> \\"`, "{\n\t\"é\":\"\u2028 \u2029\",\"\\\"\":true\r\n}", `"\u003c\u2028"`, `[]`,
}

// fill gives a value all that its type can hold, by chance.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	if depth == 0 || r.IntN(8) == 0 {
		return // the zero value is one too
	}
	switch p := v.Addr().Interface().(type) {
	case *json.RawMessage:
		*p = json.RawMessage(oddRaw[r.IntN(len(oddRaw))])
		return
	case *minoots.RawJSON:
		*p = minoots.RawJSON(oddRaw[r.IntN(len(oddRaw))])
		return
	case *minoots.Instant:
		p.Time = time.Unix(r.Int64N(4e11)-1e11, r.Int64N(1e9)).In(time.FixedZone("", -5400)) // years -1200 to 11500
		return
	case *time.Time:
		*p = time.UnixMicro(r.Int64N(4e15)).In(time.FixedZone("", 3600))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), depth)
	case reflect.String:
		v.SetString(odd[r.IntN(len(odd))])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(r.Int64N(math.MaxInt32) - 1<<20)
	case reflect.Uint8:
		v.SetUint(r.Uint64N(256))
	case reflect.Float64:
		v.SetFloat([]float64{2, -0.5, 1e21, 1e-9, math.Copysign(0, -1), 1 << 60, math.MaxFloat64}[r.IntN(7)])
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range r.IntN(12) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetString(fmt.Sprint(odd[r.IntN(len(odd))], i))
			fill(r, value, depth-1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i), depth-1)
			}
		}
	}
}

// other has what the module's own types have not.
type other struct {
	Named   string
	Hidden  int `json:"-"`
	private int
	Bytes   []byte         `json:"bytes"`
	Any     any            `json:"any"`
	Numbers map[string]int `json:"numbers,omitempty"`
	Quoted  struct {
		N int `json:"n,string"`
	} `json:"quoted"`
	Embedded struct {
		Duration minoots.Duration `json:"duration"`
		Inner    *other           `json:"inner,omitempty"`
	} `json:"embedded"`
	Small int8             `json:"small,omitempty"`
	None  struct{}         `json:"none"`
	Texts [2]string        `json:"texts,omitempty"`
	Times []*time.Time     `json:"times"`
	Raw   *json.RawMessage `json:"raw,omitempty"`
}

func same[T any](t *testing.T, seeds int) {
	encoder := jsonwrite.New[T]()
	for seed := range seeds {
		v := new(T)
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		fill(r, reflect.ValueOf(v).Elem(), 1+seed%8)
		want, err := json.Marshal(v)
		require.NoError(t, err)
		got, err := encoder.Append([]byte("before"), v)
		require.NoError(t, err)
		require.Equal(t, "before"+string(want), string(got), "seed %d", seed)
		require.Equal(t, plain(t, v), string(must(encoder.AppendPlain(nil, v))), "seed %d", seed)
	}
}

func plain(t *testing.T, v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(v))
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestAppendIsAsEncodingJSON(t *testing.T) {
	t.Parallel()
	const seeds = 400
	t.Run("timer", func(t *testing.T) { t.Parallel(); same[minoots.Timer](t, seeds) })
	t.Run("spec", func(t *testing.T) { t.Parallel(); same[minoots.TimerSpec](t, seeds) })
	t.Run("bundle", func(t *testing.T) { t.Parallel(); same[minoots.Bundle](t, seeds) })
	t.Run("delivery", func(t *testing.T) { t.Parallel(); same[minoots.Delivery](t, seeds) })
	t.Run("labels", func(t *testing.T) { t.Parallel(); same[map[string]string](t, seeds) })
	t.Run("other", func(t *testing.T) { t.Parallel(); same[other](t, seeds) })
	t.Run("nothing", func(t *testing.T) { t.Parallel(); same[struct{}](t, 1) })
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	action := minoots.Action{Parameters: json.RawMessage{}}
	_, err := jsonwrite.New[json.RawMessage]().Append(nil, &action.Parameters)
	require.Error(t, err, "as encoding/json, for no JSON is empty")
	nan := math.NaN()
	_, err = jsonwrite.New[[]*float64]().Append(nil, &[]*float64{&nan})
	require.Error(t, err)
}

// FuzzAppend: strings and raw JSON of any kind are written as encoding/json does.
func FuzzAppend(f *testing.F) {
	for _, text := range append(odd, oddRaw...) {
		f.Add(text, text)
	}
	type both struct {
		Text string            `json:"text"`
		Raw  json.RawMessage   `json:"raw"`
		Map  map[string]string `json:"map"`
	}
	encoder := jsonwrite.New[both]()
	f.Fuzz(func(t *testing.T, text, raw string) {
		v := both{Text: text, Map: map[string]string{text: raw, raw: text}}
		if json.Valid([]byte(raw)) {
			v.Raw = json.RawMessage(raw)
		}
		want, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(must(encoder.Append(nil, &v))))
		assert.Equal(t, plain(t, v), string(must(encoder.AppendPlain(nil, &v))))
	})
}

// BenchmarkAppend is a stored bundle, by both ways.
func BenchmarkAppend(b *testing.B) {
	full := minoots.Bundle{Actions: []minoots.Action{{
		ID: "wake", Kind: minoots.KindWebhook, Parameters: json.RawMessage(`{"url":"http://127.0.0.1:43210/far/1826960400000000"}`),
	}}}.WithDefaults()
	at, ms := minoots.InstantOf(time.Unix(1e9, 0)), int64(1)
	timer := minoots.Timer{
		Name: "resume-research", RequestedBy: "agent:planner", Status: minoots.StatusScheduled, CreatedAt: at, UpdatedAt: at,
		FireAt: at, DurationMs: &ms, Labels: map[string]string{"session": "s-17"}, ActionBundle: &full,
	}
	b.Run("own", func(b *testing.B) {
		encoder, buffer := jsonwrite.New[minoots.Timer](), []byte(nil)
		b.ReportAllocs()
		for b.Loop() {
			buffer = must(encoder.AppendPlain(buffer[:0], &timer))
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		var buffer bytes.Buffer
		e := json.NewEncoder(&buffer)
		e.SetEscapeHTML(false)
		b.ReportAllocs()
		for b.Loop() {
			buffer.Reset()
			require.NoError(b, e.Encode(&timer))
		}
	})
}
