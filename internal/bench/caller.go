package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
)

// caller is the clients of the API, with one connection each that is kept alive.
// It is leaner than package client, which decodes the answers: that would be
// charged to the service, on the same cores.
type caller struct {
	base, key string
	http      *http.Client

	// A deployment that goes on after the bench is to be left as it was, so
	// there the answers are read for the ids of what must be cancelled.
	remember bool
	mu       sync.Mutex
	made     []minoots.ID
}

// answerBuffer spares most of the system calls for the answer to a batch.
const answerBuffer = 64 << 10

func newCaller(base, key string, clients int) *caller {
	return &caller{base: base, key: key, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients,
		ReadBufferSize: answerBuffer,
	}}}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// create makes one timer, of a spec or of its JSON.
func (c *caller) create(ctx context.Context, timer any) error {
	var answer struct {
		ID minoots.ID `json:"id"`
	}
	if err := c.post(ctx, "/v1/timers", timer, &answer); err != nil {
		return err
	}
	c.note(answer.ID)
	return nil
}

// createAll makes a batch.
func (c *caller) createAll(ctx context.Context, specs []minoots.TimerSpec) error {
	return c.createBatch(ctx, struct {
		Timers []minoots.TimerSpec `json:"timers"`
	}{specs})
}

// createBatch makes a batch of a request's body.
func (c *caller) createBatch(ctx context.Context, body any) error {
	var answer struct {
		Timers []struct {
			ID minoots.ID `json:"id"`
		} `json:"timers"`
	}
	if err := c.post(ctx, "/v1/timers/batch", body, &answer); err != nil {
		return err
	}
	for _, t := range answer.Timers {
		c.note(t.ID)
	}
	return nil
}

func (c *caller) note(id minoots.ID) {
	if !c.remember {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, id)
}

// cancelMade cancels what was made for a deployment that is not ours.
func (c *caller) cancelMade(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(clients)
	for _, id := range c.made {
		g.Go(func() error { return c.post(ctx, "/v1/timers/"+id.String()+"/cancel", struct{}{}, nil) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("cancel the bench's timers (%s, by %s): %w", refName, refRequestedBy, err)
	}
	return nil
}

// get reads the answer only as far as that is needed.
func (c *caller) get(ctx context.Context, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: HTTP %d", path, res.StatusCode)
	}
	if answer != nil {
		return json.NewDecoder(res.Body).Decode(answer)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// post sends a request, whose body may be JSON already, and reads the answer only as
// far as that is needed.
func (c *caller) post(ctx context.Context, path string, body, answer any) error {
	text, isText := body.(json.RawMessage)
	if !isText {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return fmt.Errorf("POST %s: HTTP %d: %s", path, res.StatusCode, bytes.TrimSpace(said))
	}
	if c.remember && answer != nil {
		return json.NewDecoder(res.Body).Decode(answer)
	}
	_, err = io.Copy(io.Discard, res.Body) // or the connection cannot be used again
	return err
}
