package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/minoots/minoots"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// grpcEvents is an open stream of grpc-go's.
type grpcEvents struct {
	t testing.TB
	grpc.ClientStream
}

// stream opens one and waits until the server has heard of it.
func (h *horology) stream(in *timerv1.TimerEventStreamRequest) *grpcEvents {
	h.b.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx(), time.Minute)
	h.b.t.Cleanup(cancel)
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, timerv1connect.HorologyKernelStreamTimerEventsProcedure)
	require.NoError(h.b.t, err)
	require.NoError(h.b.t, stream.SendMsg(in))
	require.NoError(h.b.t, stream.CloseSend())
	_, err = stream.Header()
	require.NoError(h.b.t, err)
	return &grpcEvents{h.b.t, stream}
}

func (s *grpcEvents) next() *timerv1.TimerEvent {
	s.t.Helper()
	e := &timerv1.TimerEvent{}
	require.NoError(s.t, s.RecvMsg(e))
	return e
}

// end is how the stream ends.
func (s *grpcEvents) end() *status.Status {
	s.t.Helper()
	var err error
	for err == nil {
		err = s.RecvMsg(&timerv1.TimerEvent{})
	}
	return status.Convert(err)
}

func (s *eventServer) horology() *horology { return s.dial(strings.TrimPrefix(s.url, "http://")) }

func TestGRPCStreamsEvents(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	h := s.horology()
	live := h.stream(&timerv1.TimerEventStreamRequest{})
	cancels := h.stream(&timerv1.TimerEventStreamRequest{Topics: []string{"timer.cancelled"}})
	timer := s.create(`{"duration": "1h", "name": "streamed"}`)
	s.call("POST", "/v1/timers/"+timer.ID.String()+"/pause", "").is(200)
	s.call("POST", "/v1/timers/"+timer.ID.String()+"/cancel", `{"reason": "enough"}`).is(200)

	var got []string
	var cursor string
	for range 3 {
		e := live.next()
		assert.Equal(t, timer.ID.String(), e.GetTimerId())
		assert.Equal(t, "acme", e.GetTenantId())
		assert.NotEmpty(t, e.GetId())
		assert.NotEmpty(t, e.GetOccurredAtIso())
		got = append(got, fmt.Sprintf("%s %T", e.GetType(), e.GetEvent()))
		if cursor == "" {
			cursor = e.GetCursor()
		}
	}
	assert.Equal(t, []string{
		"timer.scheduled *timerv1.TimerEvent_Scheduled", "timer.paused *timerv1.TimerEvent_Paused", "timer.cancelled *timerv1.TimerEvent_Cancelled",
	}, got)
	cancelled := cancels.next()
	assert.Equal(t, "enough", cancelled.GetCancelled().GetReason())
	assert.Equal(t, "streamed", cancelled.GetCancelled().GetTimer().GetName())
	assert.Equal(t, timerv1.TimerStatus_TIMER_STATUS_CANCELLED, cancelled.GetCancelled().GetTimer().GetStatus())

	again := h.stream(&timerv1.TimerEventStreamRequest{After: cursor})
	assert.Equal(t, "timer.paused", again.next().GetType(), "what came after the cursor")
	all := h.stream(&timerv1.TimerEventStreamRequest{After: "oldest", Topics: []string{"timer.*"}})
	assert.Equal(t, "timer.scheduled", all.next().GetType())
}

func TestGRPCStreamsNobodyElsesEvents(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	h := s.horology()
	h.key = s.other
	stream := h.stream(&timerv1.TimerEventStreamRequest{After: "oldest"})
	s.create(`{"duration": "1h"}`)
	own, err := h.schedule(inMs(60_000))
	require.NoError(t, err)
	assert.Equal(t, own.GetTimer().GetId(), stream.next().GetTimerId())
}

func TestGRPCStreamEnds(t *testing.T) {
	t.Parallel()
	s := serveEvents(t)
	h := s.horology()
	for name, c := range map[string]struct {
		in    *timerv1.TimerEventStreamRequest
		code  codes.Code
		field string
	}{
		"unknown topic": {&timerv1.TimerEventStreamRequest{Topics: []string{"timer.exploded"}}, codes.InvalidArgument, "topics"},
		"forged cursor": {&timerv1.TimerEventStreamRequest{After: "AAAA"}, codes.InvalidArgument, "after"},
		"other tenant":  {&timerv1.TimerEventStreamRequest{TenantId: "globex"}, codes.PermissionDenied, ""},
		"a tenant's *":  {&timerv1.TimerEventStreamRequest{TenantId: "*"}, codes.PermissionDenied, ""},
	} {
		end := h.stream(c.in).end()
		assert.Equal(t, c.code, end.Code(), "%s: %v", name, end)
		assert.Equal(t, c.field, violationsOf(end)[0].GetField(), name)
	}

	h.key = s.key("acme", minoots.RoleTimerRead)
	revoked := h.stream(&timerv1.TimerEventStreamRequest{})
	_, err := s.pool.Exec(t.Context(), "UPDATE minoots.api_keys SET revoked_at = now() WHERE roles = '{timer.read}'")
	require.NoError(t, err)
	assert.Equal(t, codes.Unauthenticated, revoked.end().Code())

	h.key = s.admin
	stopped := h.stream(&timerv1.TimerEventStreamRequest{})
	s.create(`{"duration": "1h"}`)
	stopped.next()
	s.stopHub()
	end := stopped.end()
	assert.Equal(t, codes.Unavailable, end.Code())
	require.NotEmpty(t, end.Details())
	info, ok := end.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	assert.NotEmpty(t, info.GetMetadata()["cursor"], "where to go on")
}
