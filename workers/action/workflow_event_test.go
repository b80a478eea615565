package action

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// natsServer starts a real server with JetStream, and a stream that takes acme's
// events "taken.>".
func natsServer(t *testing.T) jetstream.JetStream {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, MaxPayload: 64 << 10})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(30*time.Second))
	conn, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "TAKEN", Subjects: []string{WorkflowSubjects + ".acme.taken", WorkflowSubjects + ".acme.taken.>"}, MaxMsgSize: 32 << 10,
	})
	require.NoError(t, err)
	return js
}

func natsGood(t *testing.T, w *world) (string, func() []string) {
	return `{"event": "taken.conform", "data": {"a": "s3cret"}, "headers": {"Authorization": "s3cret"}}`, func() (seen []string) {
		stream, err := w.stream.Stream(t.Context(), "TAKEN")
		require.NoError(t, err)
		last, err := stream.GetLastMsgForSubject(t.Context(), WorkflowSubjects+".acme.taken.conform")
		require.NoError(t, err)
		assert.EqualValues(t, 1, last.Sequence, "eight at once under one id are one message")
		return []string{last.Header.Get("webhook-id")}
	}
}

// natsSilent takes messages and acknowledges none.
func natsSilent(t *testing.T, w *world) string {
	sub, err := w.stream.Conn().SubscribeSync(WorkflowSubjects + ".acme.silent")
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(t, w.stream.Conn().Flush())
	return `{"event": "silent", "timeoutMs": 60000}`
}

func TestWorkflowEventMessage(t *testing.T) {
	t.Parallel()
	js := natsServer(t)
	e := NewWorkflowEvent(Config{NATS: js})
	d := testDelivery(minoots.KindWorkflowEvent, `{"headers": {"X-Kind": "a"}}`)
	d.Action.ID = "taken.it:now"
	stream, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "TAKEN", Subjects: []string{WorkflowSubjects + ".>"}, MaxMsgSize: 32 << 10})
	require.NoError(t, err)

	out := e.Execute(t.Context(), d, 2)

	require.True(t, out.Success, out.Error)
	assert.JSONEq(t, `{"stream": "TAKEN", "sequence": 1, "duplicate": false}`, string(out.Response))
	again := e.Execute(t.Context(), d, 3)
	require.True(t, again.Success, again.Error)
	assert.JSONEq(t, `{"stream": "TAKEN", "sequence": 1, "duplicate": true}`, string(again.Response))

	msg, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "minoots-workflow.acme.taken_it_now", msg.Subject)
	for name, want := range map[string]string{
		"Nats-Msg-Id":         d.WebhookID(),
		"webhook-id":          d.WebhookID(),
		"x-minoots-timer-id":  d.Timer.ID.String(),
		"x-minoots-tenant-id": "acme",
		"x-minoots-attempt":   "2",
		"content-type":        "application/json",
		"X-Kind":              "a",
	} {
		assert.Equal(t, want, msg.Header.Get(name), name)
	}
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, msg.Header.Get("traceparent"))
	var body payload
	require.NoError(t, json.Unmarshal(msg.Data, &body))
	assert.Equal(t, "timer.fired", body.Type)
	assert.Equal(t, "resume-research", body.Data.Timer.Name)
}

// Whatever a tenant writes, it is published below its own subject.
func TestWorkflowEventStaysBelowItsTenant(t *testing.T) {
	t.Parallel()
	e := NewWorkflowEvent(Config{NATS: natsServer(t)})
	for _, event := range []string{"$SYS.REQ", "$JS.API.STREAM.DELETE.TAKEN", ".x", "x.", "a..b", "*", ">", "a.*", "a b", "a\tb", "a\r\nPUB x 0", "../globex", "ä"} {
		raw, err := json.Marshal(map[string]string{"event": event})
		require.NoError(t, err)
		bad := e.Check(raw, nil)
		require.Len(t, bad, 1, event)
		assert.Equal(t, "parameters.event", bad[0].Path)
		assert.Contains(t, bad[0].Message, "minoots-workflow.<your tenant>")
	}
	spec, bad := parseWorkflow(json.RawMessage(`{"event": "minoots-workflow.globex.x"}`))
	require.Empty(t, bad)
	d := testDelivery(minoots.KindWorkflowEvent, `{}`)
	msg, err := spec.message(&d, 1)
	require.NoError(t, err)
	assert.Equal(t, "minoots-workflow.acme.minoots-workflow.globex.x", msg.Subject)
}

func TestWorkflowEventFailures(t *testing.T) {
	t.Parallel()
	js := natsServer(t)
	e := NewWorkflowEvent(Config{NATS: js})
	large, _ := json.Marshal(map[string]any{"event": "taken", "data": make([]int, 20<<10)})
	larger, _ := json.Marshal(map[string]any{"event": "taken", "data": make([]int, 40<<10)})
	for name, c := range map[string]struct {
		parameters string
		class      string
		retryable  bool
	}{
		"no stream":             {`{"event": "nobody"}`, ClassNoStream, true},
		"larger than stream's":  {string(large), ClassBroker, true},
		"larger than server's":  {string(larger), ClassParameters, false},
		"parameters of old row": {`{"event": "a.>"}`, ClassParameters, false},
	} {
		out := e.Execute(t.Context(), testDelivery(minoots.KindWorkflowEvent, c.parameters), 1)
		requireWellFormed(t, out)
		assert.Equal(t, c.class, out.ErrorClass, name+": "+out.Error)
		assert.Equal(t, c.retryable, out.Retryable, name)
	}
	js.Conn().Close()
	out := e.Execute(t.Context(), testDelivery(minoots.KindWorkflowEvent, `{"event": "taken"}`), 1)
	assert.Equal(t, ClassUnreachable, out.ErrorClass, out.Error)
}
