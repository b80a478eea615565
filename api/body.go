package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonguard"
)

const (
	// bodyTimeout ends the reading of a body that does not come.
	bodyTimeout = 30 * time.Second
	// keptBuffer is the largest buffer that is kept for the next body.
	keptBuffer = 1 << 20
)

// body is a request's JSON body. huma calls Resolve, which reads, guards and
// decodes it: huma's own way decodes twice, into any and into T, and cannot say
// which field was wrong.
type body[T any] struct {
	Value       T
	fingerprint []byte // with an Idempotency-Key only
}

// optionalBody is a body that may be left out.
type optionalBody[T any] struct{ body[T] }

// Resolve implements huma.Resolver.
func (b *body[T]) Resolve(ctx huma.Context) []error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= keptBuffer {
			buffer.Reset()
			buffers.Put(buffer)
		}
	}()
	if err := readBody(ctx, buffer); err != nil {
		return []error{err}
	}
	if buffer.Len() == 0 && !ctx.Operation().RequestBody.Required {
		return nil
	}
	if err := wantJSON(ctx); err != nil {
		return []error{err}
	}
	if err := decoderOf[T]().Decode(buffer.Bytes(), &b.Value); err != nil {
		return []error{guardError(err)}
	}
	if ctx.Header(idempotencyHeader) != "" {
		b.fingerprint = fingerprint(buffer.Bytes())
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBody reads no more than the operation's limit.
func readBody(ctx huma.Context, buffer *bytes.Buffer) error {
	limit := ctx.Operation().MaxBodyBytes
	if limit == 0 {
		limit = minoots.MaxTimerBytes
	}
	_ = ctx.SetReadDeadline(time.Now().Add(bodyTimeout))
	_, err := buffer.ReadFrom(io.LimitReader(ctx.BodyReader(), limit+1))
	_ = ctx.SetReadDeadline(time.Time{})
	var network net.Error
	switch {
	case int64(buffer.Len()) > limit:
		return minoots.Errorf(minoots.CodeTooLarge, "the body must be at most %d bytes", limit)
	case errors.As(err, &network) && network.Timeout():
		return statusError{minoots.Errorf(minoots.CodeInvalid, "the body did not come within %s", bodyTimeout), http.StatusRequestTimeout}
	case err != nil:
		return statusError{minoots.Errorf(minoots.CodeInvalid, "the body ended before its length"), http.StatusBadRequest}
	}
	return nil
}

// wantJSON refuses bodies that say that they are something else. One that says
// nothing is taken for JSON.
func wantJSON(ctx huma.Context) error {
	if coding := ctx.Header("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return notJSON("the body must not be compressed")
	}
	given := ctx.Header("Content-Type")
	if given == "" || given == "application/json" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return notJSON("the body must be application/json")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return notJSON("the body must be UTF-8")
	}
	return nil
}

func notJSON(message string) error {
	return statusError{minoots.Errorf(minoots.CodeInvalid, "%s", message), http.StatusUnsupportedMediaType}
}

// guardError tells what the guard found: 400 for what no parser takes, 413 for a
// part that is too large, and 422 for the rest.
func guardError(err error) error {
	var found *jsonguard.Error
	if !errors.As(err, &found) {
		return err
	}
	told := &minoots.Error{Code: minoots.CodeInvalid, Message: "the body does not validate"}
	for _, f := range found.Fields {
		told.Fields = append(told.Fields, minoots.FieldError(f))
	}
	switch found.Reason {
	case jsonguard.NotJSON:
		told.Message = "the body is not JSON"
		return statusError{told, http.StatusBadRequest}
	case jsonguard.TooLarge:
		told.Code, told.Message = minoots.CodeTooLarge, "the body is over a limit"
	}
	return told
}

// decoders holds the *jsonguard.Decoder of each body type.
var decoders sync.Map

func decoderOf[T any]() *jsonguard.Decoder[T] {
	t := reflect.TypeFor[T]()
	d, ok := decoders.Load(t)
	if !ok {
		d, _ = decoders.LoadOrStore(t, jsonguard.New[T](minoots.MaxJSONDepth))
	}
	return d.(*jsonguard.Decoder[T])
}

func (*body[T]) describe(r huma.Registry) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: r.Schema(reflect.TypeFor[T](), true, "")},
	}}
}

func (b *optionalBody[T]) describe(r huma.Registry) *huma.RequestBody {
	described := b.body.describe(r)
	described.Required = false
	return described
}

// describeBody gives the document's part on the body field of an input, nil if
// there is none.
func describeBody[I any](r huma.Registry, example string) *huma.RequestBody {
	input := reflect.TypeFor[I]()
	for i := range input.NumField() {
		b, ok := reflect.New(input.Field(i).Type).Interface().(interface {
			describe(huma.Registry) *huma.RequestBody
		})
		if ok {
			described := b.describe(r)
			described.Content["application/json"].Example = json.RawMessage(example)
			return described
		}
	}
	return nil
}
