package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 255
)

// checkIdempotencyKey refuses a key that would not do what its sender hopes for.
func checkIdempotencyKey(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	if _, err := idempotencyKey(r.Header); err != nil {
		return []error{err}
	}
	return nil
}

// idempotencyKey is the key that the headers give, if any.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values(idempotencyHeader)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", badParam("header", idempotencyHeader, "stands twice")
	}
	key := values[0]
	if !validIdempotencyKey(key) {
		return "", badParam("header", idempotencyHeader, "must be 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	return key, nil
}

func validIdempotencyKey(key string) bool {
	return len(key) >= 1 && len(key) <= maxIdempotencyKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// fingerprint tells one body from another: the SHA-256 of a canonical form, in
// which neither the order of keys nor white space counts. The body is known to
// be JSON.
func fingerprint(body []byte) []byte {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // else 1 and 1.0, or two large numbers, would look the same
	if err := d.Decode(&v); err != nil {
		v = string(body)
	}
	canonical, err := json.Marshal(v)
	if err != nil {
		canonical = body
	}
	sum := sha256.Sum256(canonical)
	return sum[:]
}
