package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/internal/config"
)

// counterparts are the services and the program that the documented timers speak
// to. They check what they get, and answer as the real ones do.
type counterparts struct {
	natsURL string
	program string
	replace *strings.Replacer // of the documented addresses
	stream  jetstream.Stream
}

func newCounterparts(t *testing.T) *counterparts {
	t.Helper()
	c := &counterparts{program: filepath.Join(t.TempDir(), "export")}
	require.NoError(t, os.WriteFile(c.program, []byte("#!/bin/sh\necho \"exported $TIMER_NAME with $#: $(cat)\"\n"), 0o755)) //nolint:gosec // a program

	mux := http.NewServeMux()
	answer := func(pattern, needs, answer string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("webhook-signature") == "" || !strings.Contains(string(body), needs) {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			acknowledge(t, body)
			_, _ = io.WriteString(w, answer)
		})
	}
	answer("POST /hook", `"type":"timer.fired"`, "ok")
	answer("POST /chain/invoke", `"input":"Summarize the day."`, `{"output": "done", "metadata": {"run_id": "1"}}`)
	answer("POST /threads/t-17/runs", `"assistant_id":"support"`, `{"run_id": "r", "status": "pending"}`)
	answer("POST /chat", `"type":"TextMessage"`, `{"type": "TextMessage", "source": "assistant", "content": "planned"}`)
	answer("GET /predict_team/sales/{task}", "", `{"status": true, "message": "Task successfully completed", "data": {}}`)
	answer("POST /wake", `"goal":"book the flight"`, "awake")
	tools := mcp.NewServer(&mcp.Implementation{Name: "counterpart", Version: "1"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "resume"}, func(_ context.Context, r *mcp.CallToolRequest, in struct {
		Thread string `json:"thread"`
		Prompt string `json:"prompt"`
		Note   string `json:"note,omitempty"`
	}) (*mcp.CallToolResult, any, error) {
		asked, _ := json.Marshal(r.Params.Meta)
		acknowledge(t, asked)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf("thread %s goes on. %s", in.Thread, in.Note)}}}, nil, nil
	})
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil))
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)

	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(30*time.Second))
	c.natsURL = s.ClientURL()
	conn, err := nats.Connect(c.natsURL)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	c.stream, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "WORKFLOW", Subjects: []string{"minoots-workflow.>"}})
	require.NoError(t, err)

	c.replace = strings.NewReplacer("/usr/local/bin/export", c.program,
		"https://example.com", web.URL, "https://mcp.example.com", web.URL, "https://langserve.example.com", web.URL, "https://langgraph.example.com", web.URL,
		"https://autogen.example.com", web.URL, "https://studio.example.com", web.URL, "https://agents.example.com", web.URL)
	return c
}

var acknowledgementURL = regexp.MustCompile(`"url":"(http[^"]+/v1/acks/[^"]+)"`)

// acknowledge does what an agent does that was asked for a word, before it answers.
func acknowledge(t *testing.T, asked []byte) {
	found := acknowledgementURL.FindSubmatch(asked)
	if found == nil {
		return
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(found[1]), nil)
	if !assert.NoError(t, err) {
		return
	}
	res, err := http.DefaultClient.Do(r)
	if assert.NoError(t, err) {
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.NoError(t, res.Body.Close())
	}
}

// runKinds runs a replica until the test ends, and gives its API. public is the API
// of another replica, if that has it.
func runKinds(t *testing.T, url, public string, c *counterparts, roles config.Roles) string {
	t.Helper()
	cfg := replicaConfig{
		Config: config.Config{
			DatabaseURL: config.SecretOf(url), PublicURL: public, Roles: roles, ShutdownGrace: 5 * time.Second,
			WebhookAllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			CommandAllow:      []string{c.program}, NATSURL: config.SecretOf(c.natsURL),
		},
		Log: slog.New(slog.DiscardHandler), HTTP: loopbackListener(t), Ops: loopbackListener(t),
	}
	r, err := newReplica(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case <-r.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	return "http://" + cfg.HTTP.Addr().String()
}
