package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/api"
	"github.com/minoots/minoots/internal/eventhub"
)

// eventServer is the API with a hub, behind a real server of both protocols.
type eventServer struct {
	*bundle
	url     string
	stopHub func()
}

func serveEvents(t *testing.T) *eventServer {
	t.Helper()
	b := setup(t)
	hub, err := eventhub.New(eventhub.Config{DB: b.db})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	b.api, err = api.New(api.Config{DB: b.db, Hub: hub})
	require.NoError(t, err)
	b.api.Beat(50 * time.Millisecond)
	b.handler = b.api.Handler()
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return &eventServer{bundle: b, url: server.URL, stopHub: cancel}
}

// sse is an open stream.
type sse struct {
	t   *testing.T
	res *http.Response
	r   *bufio.Reader
}

// message is one block of a stream; one without data is a sign of life.
type message struct{ id, event, data string }

func (s *eventServer) stream(t *testing.T, transport *http.Transport, key, query string, headers ...string) *sse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events?"+query, nil)
	require.NoError(t, err)
	req.Header.Set("X-Api-Key", key)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Equal(t, "no", res.Header.Get("X-Accel-Buffering"))
	return &sse{t: t, res: res, r: bufio.NewReader(res.Body)}
}

// next reads a message with an id.
func (s *sse) next() (m message) {
	s.t.Helper()
	for {
		line, err := s.r.ReadString('\n')
		require.NoError(s.t, err)
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			if line == "\n" && m.id != "" {
				return m
			}
		}
	}
}

// event reads the next event.
func (s *sse) event() (e minoots.Event, cursor string) {
	s.t.Helper()
	for {
		m := s.next()
		if m.data == "" {
			continue
		}
		require.NoError(s.t, json.Unmarshal([]byte(m.data), &e), m.data)
		require.Equal(s.t, m.event, string(e.Type))
		return e, m.id
	}
}

func transports(t *testing.T) map[string]*http.Transport {
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	all := map[string]*http.Transport{"HTTP/1.1": {}, "HTTP/2.0": h2}
	for _, transport := range all {
		t.Cleanup(transport.CloseIdleConnections)
	}
	return all
}
