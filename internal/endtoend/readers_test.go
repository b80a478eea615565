package endtoend_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// reader notes the events that come through one door.
type reader struct {
	door     string
	anyOrder bool // and what comes may come twice

	mu     sync.Mutex
	events []minoots.Event
	ids    map[string]bool
	opened int   // connections, one and another after each break
	err    error // why it reads no more
}

func newReader(door string) *reader { return &reader{door: door, ids: map[string]bool{}} }

func (r *reader) note(e minoots.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.ids[e.ID] = true
}

func (r *reader) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// seen is how many different events have come, and whether more will.
func (r *reader) seen() (events int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids), r.err
}

// readSSE follows GET /v1/events with the client, first at one replica.
func (w *world) readSSE(ctx context.Context, wait *sync.WaitGroup, first int) *reader {
	r := newReader("SSE")
	c, transport := w.rest(w.hosts(first), false)
	transport.answered = r.open
	wait.Go(func() {
		for e, err := range c.Events(ctx, client.EventFilter{After: "oldest"}) {
			if err != nil {
				r.fail(err)
				return
			}
			r.note(e.Event)
		}
	})
	return r
}

// readGRPC follows StreamTimerEvents with grpc-go, first at one replica.
func (w *world) readGRPC(ctx context.Context, wait *sync.WaitGroup, first int) *reader {
	r := newReader("gRPC")
	conn := w.dial(w.hosts(first), "pick_first")
	wait.Go(func() {
		for after := "oldest"; ctx.Err() == nil; {
			err := w.streamOnce(ctx, conn, r, &after)
			if status.Code(err) != codes.Unavailable && ctx.Err() == nil {
				r.fail(err)
				return
			}
		}
	})
	return r
}

// streamOnce reads a stream until it breaks, and moves the cursor with it.
func (w *world) streamOnce(ctx context.Context, conn *grpc.ClientConn, r *reader, after *string) error {
	stream, err := conn.NewStream(w.authorized(ctx), &grpc.StreamDesc{ServerStreams: true},
		timerv1connect.HorologyKernelStreamTimerEventsProcedure, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&timerv1.TimerEventStreamRequest{After: *after}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for heard := false; ; {
		m := &timerv1.TimerEvent{}
		if err := stream.RecvMsg(m); err != nil {
			return err
		}
		if !heard {
			heard = true
			r.open()
		}
		e, err := eventOf(m)
		if err != nil {
			return err
		}
		r.note(e)
		*after = m.GetCursor()
	}
}

// eventOf is the envelope of an event that came over gRPC.
func eventOf(m *timerv1.TimerEvent) (minoots.Event, error) {
	e := minoots.Event{
		ID: m.GetId(), Type: minoots.EventType(m.GetType()), TenantID: m.GetTenantId(), Occurrence: int(m.GetOccurrence()),
		TraceID: m.GetTraceId(), Version: int(m.GetVersion()), DedupeKey: m.GetDedupeKey(),
	}
	if m.GetDataJson() != "" {
		e.Data = json.RawMessage(m.GetDataJson())
	}
	var err error
	if e.TimerID, err = minoots.ParseID(m.GetTimerId()); err != nil {
		return e, err
	}
	return e, e.OccurredAt.UnmarshalText([]byte(m.GetOccurredAtIso()))
}

// readNATS consumes the stream that the relay has made.
func (w *world) readNATS(ctx context.Context, wait *sync.WaitGroup) *reader {
	w.Helper()
	r := newReader("NATS")
	conn, err := nats.Connect(w.nats.ClientURL())
	require.NoError(w, err)
	w.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(w, err)
	w.until("the relay has made its stream", func() bool { _, err := js.Stream(ctx, "MINOOTS_EVENTS"); return err == nil })
	consumer, err := js.OrderedConsumer(ctx, "MINOOTS_EVENTS", jetstream.OrderedConsumerConfig{})
	require.NoError(w, err)
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		e, err := eventIn(msg)
		if err != nil {
			r.fail(err)
			return
		}
		r.note(e)
	})
	require.NoError(w, err)
	wait.Go(func() {
		<-ctx.Done()
		consuming.Stop()
		<-consuming.Closed()
	})
	r.open()
	return r
}

// eventIn is the event of a message, whose subject and headers must agree.
func eventIn(msg jetstream.Msg) (e minoots.Event, err error) {
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		return e, err
	}
	got := []string{msg.Subject(), msg.Headers().Get("Nats-Msg-Id"), msg.Headers().Get("Minoots-Event-Type"), msg.Headers().Get("Minoots-Timer-Id")}
	want := []string{"minoots." + e.TenantID + "." + string(e.Type), e.ID, string(e.Type), e.TimerID.String()}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return e, fmt.Errorf("event %s came with %v, not %v", e.ID, got, want)
	}
	return e, nil
}
