package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// caller is a client of the API.
type caller struct {
	key  string
	http *http.Client
}

// requestTimeout is a client's patience with one request.
const requestTimeout = 3 * time.Second

func newCaller(key string) *caller {
	return &caller{key: key, http: &http.Client{
		Timeout: requestTimeout,
		// net/http itself repeats a request that met a connection which had been
		// closed just then, for Idempotency-Key says that it may.
		Transport: &http.Transport{MaxIdleConnsPerHost: creators},
	}}
}

// refused is the failure that a client can do nothing about but go elsewhere,
// and that says for certain that nothing was done.
const refused = "connection refused"

// create asks a replica for a timer. Failure is empty, or how it failed.
func (c *caller) create(ctx context.Context, api, key string, body []byte) (id, failure string) {
	var said struct{ ID string }
	failure = c.post(ctx, api+"/v1/timers", key, body, &said)
	return said.ID, failure
}

// post sends a request, with an Idempotency-Key unless that is empty, and reads
// the answer if it is a good one.
func (c *caller) post(ctx context.Context, url, key string, body []byte, answer any) (failure string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return failureOf(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return failureOf(err)
	}
	var said struct{ Code string }
	good := res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated
	if err = json.Unmarshal(text, &said); err == nil && good {
		err = json.Unmarshal(text, answer)
	}
	switch {
	case err != nil:
		return fmt.Sprintf("HTTP %d that is no JSON", res.StatusCode)
	case good:
		return ""
	case res.StatusCode != http.StatusServiceUnavailable:
		return fmt.Sprintf("HTTP %d %s", res.StatusCode, said.Code)
	case res.Header.Get("Retry-After") == "":
		return "HTTP 503 without Retry-After"
	default:
		return unavailable
	}
}

// unavailable is what the API answers while it cannot do its work.
const unavailable = "HTTP 503 with Retry-After"

func failureOf(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", requestTimeout)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection broken"
	default:
		return err.Error()
	}
}
