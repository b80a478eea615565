// Package client talks to the REST API of MINOOTS from Go. Requests and answers
// are the types of package minoots, and every error is a *minoots.Error, so that
// a caller branches on the same codes on both sides of the wire:
//
//	c, err := client.New("http://127.0.0.1:8080", key)
//	timer, err := c.CreateTimer(ctx, spec, "wake-s-17")
//	if minoots.ErrorCode(err) == minoots.CodeConflict { … }
//
// What the server said besides (status, request id, Retry-After) is in the
// *ResponseError that the error wraps.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// maxAnswer bounds what is read of one answer: a page of 1,000 timers of the
// largest size is 256 MiB, which nobody asks for by accident.
const maxAnswer = 300 << 20

// Client is a caller of one API with one key. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client

	retrying func(error)
}

// Option changes a Client.
type Option func(*Client)

// WithHTTPClient replaces the HTTP client, for example to add tracing or a
// proxy. The default one allows 64 idle connections to the API and gives a
// request one minute.
func WithHTTPClient(c *http.Client) Option { return func(to *Client) { to.http = c } }

// WithRetryNotice has those calls that go on by themselves while the API does not
// answer, Events and WaitTimer, tell why before each next try. Without it they wait
// in silence.
func WithRetryNotice(tell func(err error)) Option { return func(to *Client) { to.retrying = tell } }

// New makes a client of the API at a URL such as "https://timers.example.com".
// It sends nothing yet.
func New(baseURL, key string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, &minoots.Error{
			Code: minoots.CodeInvalid, Message: "the API's URL must look like https://timers.example.com",
		}
	}
	if strings.ContainsAny(key, "\r\n\x00") {
		return nil, &minoots.Error{Code: minoots.CodeInvalid, Message: "the API key contains a line break"}
	}
	// The pool of http.DefaultTransport keeps two connections to a host, and a
	// caller with ten goroutines would make a new one for most requests.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	c := &Client{
		base: strings.TrimSuffix(u.String(), "/"),
		key:  key,
		http: &http.Client{Transport: transport, Timeout: time.Minute},

		retrying: func(error) {},
	}
	for _, opt := range opts {
		opt(c)
	}
	return c, nil
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method string
	path   string
	query  url.Values
	header map[string]string
	body   any
}

// do sends the call and reads its answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, what call, out any) error {
	req, err := c.request(ctx, what)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return noAnswer(c.base, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return noAnswer(c.base, err)
	}
	if res.StatusCode >= 300 {
		return problem(res, body)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &minoots.Error{
			Code: minoots.CodeInternal, Message: "the answer is not what the API promises",
			Hint: "is " + c.base + " the MINOOTS API, and of this version?", Err: responseError(res, err),
		}
	}
	return nil
}

func (c *Client) request(ctx context.Context, what call) (*http.Request, error) {
	var body io.Reader
	if what.body != nil {
		b, err := json.Marshal(what.body)
		if err != nil {
			return nil, &minoots.Error{Code: minoots.CodeInvalid, Message: "the request does not encode as JSON", Err: err}
		}
		body = bytes.NewReader(b)
	}
	to := c.base + what.path
	if len(what.query) > 0 {
		to += "?" + what.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, what.method, to, body)
	if err != nil {
		return nil, &minoots.Error{Code: minoots.CodeInvalid, Message: "the request cannot be made", Err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for name, value := range what.header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// noAnswer is the error of a request that got none. Nobody knows whether the
// server acted on it: repeat a create with the same idempotency key.
func noAnswer(base string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var u *url.Error // repeats method and URL, which the message names already
	if errors.As(err, &u) {
		err = u.Err
	}
	return &minoots.Error{
		Code: minoots.CodeUnavailable, Message: "no answer from " + base,
		Hint: "is the server running there?", Err: err,
	}
}
