package api

import (
	"encoding/json"
	"reflect"

	"github.com/minoots/minoots"
)

// EventSchema gives the JSON Schema (2020-12) of an event as every consumer gets
// it, made from the same types as the OpenAPI document.
func EventSchema() ([]byte, error) {
	registry := build(Config{}).huma.OpenAPI().Components.Schemas
	registry.Schema(reflect.TypeFor[minoots.Event](), true, "")
	event := *registry.Map()["Event"]
	b, err := json.Marshal(&event)
	if err != nil {
		return nil, err
	}
	var schema map[string]any
	if err := json.Unmarshal(b, &schema); err != nil {
		return nil, err
	}
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "A MINOOTS event"
	out, err := json.MarshalIndent(schema, "", "  ")
	return append(out, '\n'), err
}
