package db

import (
	"encoding/json"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonguard"
	"github.com/minoots/minoots/internal/jsonwrite"
)

// The JSON columns of a timer's definition are written and read by ways of our own,
// which take a third of encoding/json's time: a storm reads a hundred thousand
// definitions, and a batch writes ten thousand. What an older or newer version, or a
// hand in SQL, has written otherwise is read as encoding/json does.
var (
	labelsEncoder     = jsonwrite.New[map[string]string]()
	metadataEncoder   = jsonwrite.New[json.RawMessage]()
	bundleEncoder     = jsonwrite.New[minoots.Bundle]()
	bindingEncoder    = jsonwrite.New[minoots.AgentBinding]()
	misfireEncoder    = jsonwrite.New[minoots.Misfire]()
	recurrenceEncoder = jsonwrite.New[minoots.Recurrence]()

	labelsDecoder     = jsonguard.New[map[string]string](minoots.MaxJSONDepth)
	bundleDecoder     = jsonguard.New[*minoots.Bundle](minoots.MaxJSONDepth)
	firedDecoder      = jsonguard.New[minoots.Bundle](minoots.MaxJSONDepth)
	bindingDecoder    = jsonguard.New[*minoots.AgentBinding](minoots.MaxJSONDepth)
	misfireDecoder    = jsonguard.New[*minoots.Misfire](minoots.MaxJSONDepth)
	recurrenceDecoder = jsonguard.New[*minoots.Recurrence](minoots.MaxJSONDepth)
)

// addJSON takes in the JSON columns of a timer.
func (c *timerColumns) addJSON(s *minoots.TimerSpec) error {
	var labels *map[string]string
	if len(s.Labels) > 0 {
		labels = &s.Labels
	}
	var metadata *json.RawMessage
	if len(s.Metadata) > 0 {
		metadata = &s.Metadata
	}
	return firstError(
		addText(c, &c.labels, labelsEncoder, labels),
		addText(c, &c.metadata, metadataEncoder, metadata),
		addText(c, &c.bundle, bundleEncoder, s.ActionBundle),
		addText(c, &c.binding, bindingEncoder, s.AgentBinding),
		addText(c, &c.misfires, misfireEncoder, s.Misfire),
		addText(c, &c.recurrences, recurrenceEncoder, s.Recurrence),
	)
}

// addText adds a value to a column, or null if there is none.
func addText[T any](c *timerColumns, to *[]*string, encoder *jsonwrite.Encoder[T], value *T) (err error) {
	if value == nil {
		*to = append(*to, nil)
		return nil
	}
	if c.buffer, err = encoder.Append(c.buffer[:0], value); err != nil {
		return &minoots.Error{Code: minoots.CodeInvalid, Message: "timer does not encode as JSON", Err: err}
	}
	text := string(c.buffer)
	*to = append(*to, &text)
	return nil
}

// readText reads a column, and leaves the value as it is if that is null.
func readText[T any](decoder *jsonguard.Decoder[T], text []byte, to *T) error {
	if text == nil {
		return nil
	}
	_, err := decoder.Unmarshal(text, to)
	return err
}
