package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

// An operation keeps in its metadata what describe adds when huma has registered
// it. Were the body there before, huma would read it.
const (
	metadataBody   = "body"
	metadataErrors = "errors"
)

// documentConfig is what the document says besides its operations. Nothing of
// huma's own is served: no docs page that loads scripts from elsewhere, and no
// $schema in answers.
func documentConfig() huma.Config {
	cfg := huma.DefaultConfig("MINOOTS", "1.0.0")
	cfg.Components.Schemas = huma.NewMapRegistry(schemaPrefix, schemaName)
	cfg.Formats = map[string]huma.Format{"application/json": answerFormat, "json": answerFormat}
	cfg.CreateHooks, cfg.DocsPath, cfg.OpenAPIPath, cfg.SchemasPath = nil, "", "", ""
	cfg.Info.Description = "A durable timer service: do this in 45 minutes, at an instant, or every weekday at nine; " +
		"on time, at least once, with retries and a record.\n\nEvery error is `application/problem+json` (RFC 9457) " +
		"with a `code` to branch on and, where the request does not validate, the path of each field. " +
		"Fields that are not known are refused. Lists are paged by `limit` and `cursor`. Instants are RFC 3339, answered in UTC with microseconds. " +
		"`X-Request-Id` is taken from the request, or made, and stands on every answer."
	cfg.Tags = []*huma.Tag{
		{Name: tagTimers, Description: "What to do, and when."},
		{Name: tagFirings, Description: "What became of each occurrence of a timer."},
		{Name: tagDeadLetters, Description: "What ran out of attempts, and what to do about it."},
		{Name: tagEvents, Description: "What happened, in a log that nobody misses."},
		{Name: tagRecurrences, Description: "When a recurrence is due."},
		{Name: tagAcknowledgements, Description: "What agents say of deliveries that they have got."},
		{Name: tagKeys, Description: "Credentials of the tenant."},
		{Name: tagSecrets, Description: "What webhooks are signed with."},
		{Name: tagDestinations, Description: "Receivers that fail, and limits of what is sent to one."},
		{Name: tagSubscriptions, Description: "Events sent to a URL, by topic."},
		{Name: tagTenants, Description: "For operators."},
	}
	cfg.Components.SecuritySchemes = securitySchemes
	// A string in the document, although a number of milliseconds is taken too:
	// clients generated from "string or number" are a burden to their users.
	cfg.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[minoots.Duration](), reflect.TypeFor[string]())
	cfg.OnAddOperation = append(cfg.OnAddOperation, describe)
	return cfg
}

const schemaPrefix = "#/components/schemas/"

// schemaName is huma's, but for lists: TimerList, not ListTimer.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if item, ok := strings.CutPrefix(name, "List"); ok {
		name = item + "List"
	}
	return name
}

// describe completes an operation. All errors are one response, the default: a
// generated client then has one field for them, and not one for each status.
func describe(doc *huma.OpenAPI, op *huma.Operation) {
	statuses := []int{401, 403, 422, 500, 503}
	if op.RequestBody, _ = op.Metadata[metadataBody].(*huma.RequestBody); op.RequestBody != nil {
		statuses = append(statuses, 400, 413, 415)
	}
	statuses = append(statuses, op.Metadata[metadataErrors].([]int)...)
	slices.Sort(statuses)
	op.Responses["default"] = &huma.Response{
		Description: "An error: " + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(statuses), "[]")), ", "),
		Headers: map[string]*huma.Param{
			"X-Request-Id": {Schema: &huma.Schema{Type: "string"}, Description: "The problem's requestId."},
			"Retry-After":  {Schema: &huma.Schema{Type: "integer"}, Description: "Seconds, with 503."},
		},
		Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")},
		},
	}
}

// refinements are what tags cannot say of a type wherever it stands.
var refinements = map[reflect.Type]func(*huma.Schema){
	reflect.TypeFor[minoots.ID]():         func(s *huma.Schema) { s.Format = "uuid" },
	reflect.TypeFor[minoots.Instant]():    func(s *huma.Schema) { s.Format = "date-time" },
	reflect.TypeFor[minoots.Role]():       func(s *huma.Schema) { s.Enum = anys(minoots.Roles) },
	reflect.TypeFor[minoots.EventType]():  func(s *huma.Schema) { s.Enum = anys(minoots.EventTypes) },
	reflect.TypeFor[minoots.ActionKind](): func(s *huma.Schema) { s.Enum = anys(minoots.ActionKinds) },
}

func anys[T ~string](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// finishSchemas goes over the fields of all schemas: it refines their types, and
// marks as nullable what is always answered but may be null, which is a pointer
// without omitempty. That an object has no further fields it takes back: answers
// may get more, and that requests may not have them is said in the description.
func finishSchemas(r huma.Registry) {
	for name, schema := range r.Map() {
		if schema.AdditionalProperties == false {
			schema.AdditionalProperties = nil
		}
		t := r.TypeFromRef(schemaPrefix + name)
		for _, f := range reflect.VisibleFields(t) {
			key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			property := schema.Properties[key]
			if property == nil || property.Ref != "" {
				continue
			}
			if f.Type.Kind() == reflect.Pointer {
				property.Nullable = !strings.Contains(options, "omitempty")
			}
			base, target := f.Type, property
			for base.Kind() == reflect.Pointer || base.Kind() == reflect.Slice {
				if base.Kind() == reflect.Slice && target.Items != nil {
					target = target.Items
				}
				base = base.Elem()
			}
			if refine := refinements[base]; refine != nil {
				refine(target)
			}
		}
	}
}

// replayResponse is createTimer's other successful answer.
func (a *API) replayResponse() *huma.Response {
	timer := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[minoots.Timer](), true, "")
	return &huma.Response{
		Description: "The timer that this Idempotency-Key made before",
		Headers:     map[string]*huma.Param{"Idempotent-Replayed": {Schema: &huma.Schema{Type: "string"}, Description: "true"}},
		Content:     map[string]*huma.MediaType{"application/json": {Schema: timer}},
	}
}
