package api

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonwrite"
)

// answerFormat is huma's JSON to the letter; timers, which are answered by the
// thousand, are written by encoders of their own.
var answerFormat = huma.Format{Marshal: writeAnswer, Unmarshal: json.Unmarshal}

var (
	timerEncoder   = jsonwrite.New[minoots.Timer]()
	timersEncoder  = jsonwrite.New[list[minoots.Timer]]()
	createdEncoder = jsonwrite.New[createdTimers]()
)

func writeAnswer(w io.Writer, v any) error {
	switch body := v.(type) {
	case minoots.Timer:
		return writeBy(w, timerEncoder, &body)
	case *minoots.Timer:
		if body != nil {
			return writeBy(w, timerEncoder, body)
		}
	case list[minoots.Timer]:
		return writeBy(w, timersEncoder, &body)
	case createdTimers:
		return writeBy(w, createdEncoder, &body)
	}
	return huma.DefaultJSONFormat.Marshal(w, v)
}

var answers = sync.Pool{New: func() any { return new([]byte) }}

func writeBy[T any](w io.Writer, encoder *jsonwrite.Encoder[T], body *T) error {
	kept := answers.Get().(*[]byte)
	text, err := encoder.AppendPlain((*kept)[:0], body)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if cap(text) <= keptBuffer {
		*kept = text
		answers.Put(kept)
	}
	return err
}
