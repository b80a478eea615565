package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/eventhub"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
)

// StreamTimerEvents sends events until the client goes, its key is revoked, or the
// replica stops. It reads the log through the hub, as GET /v1/events does.
func (g grpcTimers) StreamTimerEvents(ctx context.Context, req *connect.Request[timerv1.TimerEventStreamRequest], out *connect.ServerStream[timerv1.TimerEvent]) error {
	if g.hub == nil {
		return minoots.Errorf(minoots.CodeUnavailable, "this replica has no event streams")
	}
	filter, after, err := g.eventFilter(ctx, req.Msg)
	if err != nil {
		return err
	}
	secret, err := credential(req.Header())
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	stream, err := g.hub.Subscribe(opening, filter, after)
	if err != nil {
		return streamError(err, "")
	}
	defer stream.Close()
	if err := out.Send(nil); err != nil { // the headers: the client knows that it is heard
		return err
	}
	for check := time.Now().Add(g.heartbeat); ; {
		wait, cancel := context.WithDeadline(ctx, check)
		events, err := stream.Next(wait)
		cancel()
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return streamError(err, stream.Cursor())
		}
		if time.Now().After(check) {
			check = time.Now().Add(g.heartbeat)
			if !g.stillAllowed(ctx, secret) {
				return minoots.Errorf(minoots.CodeUnauthenticated, "the key has been revoked")
			}
		}
		if err := g.sendEvents(ctx, events, out); err != nil {
			return streamError(err, stream.Cursor())
		}
	}
}

// eventFilter reads what a request asks for.
func (g grpcTimers) eventFilter(ctx context.Context, m *timerv1.TimerEventStreamRequest) (f db.EventFilter, after db.EventCursor, err error) {
	principal := principalOf(ctx)
	if err := sameTenant(principal, m.GetTenantId(), "tenant_id"); err != nil {
		return f, after, err
	}
	f.TenantID = principal.TenantID
	if f.Types, err = minoots.Topics(m.GetTopics()); err != nil {
		return f, after, err
	}
	switch text := m.GetAfter(); text {
	case "", afterLatest:
	case afterOldest:
		after, err = g.db.EventOldest(ctx)
	default:
		if after, err = db.ParseEventCursor(text); err != nil {
			err = invalidField("after", "must be %s, %s, or the cursor of an event", afterOldest, afterLatest)
		}
	}
	return f, after, err
}

// sendEvents sends events, each with its timer as it stands by now.
func (g grpcTimers) sendEvents(ctx context.Context, events []eventhub.Event, out *connect.ServerStream[timerv1.TimerEvent]) error {
	var ids []minoots.ID
	for _, e := range events {
		if showsTimer(e.Type) {
			ids = append(ids, e.TimerID)
		}
	}
	var timers map[minoots.ID]minoots.Timer
	if len(ids) > 0 {
		var err error
		if timers, err = g.db.TimerMany(ctx, principalOf(ctx).TenantID, ids); err != nil {
			return err
		}
	}
	deadline := http.NewResponseController(exchangeOf(ctx).ResponseWriter)
	for _, e := range events {
		_ = deadline.SetWriteDeadline(time.Now().Add(streamWrite)) // a server that has none keeps none
		var timer *timerv1.Timer
		if t, ok := timers[e.TimerID]; ok {
			timer = grpcTimer(&t)
		}
		if err := out.Send(grpcEvent(&e, timer)); err != nil {
			return err
		}
	}
	g.metrics.eventsSent.Add(float64(len(events)))
	_ = deadline.SetWriteDeadline(time.Time{})
	return nil
}

// streamError tells why a stream ends, and where to go on.
func streamError(err error, cursor string) error {
	var told *connect.Error
	switch {
	case errors.Is(err, eventhub.ErrStopping):
		told = connect.NewError(connect.CodeUnavailable, errors.New("this replica stops; go on after the cursor, at another"))
	case errors.Is(err, eventhub.ErrSlow):
		told = connect.NewError(connect.CodeResourceExhausted, errors.New("events come faster than they are taken; go on after the cursor"))
	default:
		return err
	}
	addDetail(told, &errdetails.ErrorInfo{Reason: "stream_ended", Domain: "minoots", Metadata: map[string]string{"cursor": cursor}})
	return told
}

func showsTimer(t minoots.EventType) bool {
	return t != minoots.EventFiringSkipped && grpcEvents[t] != nil
}

// grpcEvents makes what is particular of each type, as far as there is anything.
var grpcEvents = map[minoots.EventType]func(*timerv1.TimerEvent, *timerv1.Timer){
	minoots.EventTimerScheduled: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Scheduled{Scheduled: &timerv1.TimerScheduled{Timer: t}}
	},
	minoots.EventTimerFired: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Fired{Fired: &timerv1.TimerFired{Timer: t}}
	},
	minoots.EventTimerCancelled: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Cancelled{Cancelled: &timerv1.TimerCancelled{Timer: t, Reason: t.GetCancelReason()}}
	},
	minoots.EventTimerFailed: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Failed{Failed: &timerv1.TimerFailed{Timer: t, Error: &timerv1.ExecutionError{Message: t.GetFailureReason()}}}
	},
	minoots.EventTimerSettled: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Settled{Settled: &timerv1.TimerSettled{Timer: t}}
	},
	minoots.EventTimerUpdated: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Updated{Updated: &timerv1.TimerUpdated{Timer: t}}
	},
	minoots.EventTimerReplayed: func(e *timerv1.TimerEvent, t *timerv1.Timer) { // for the messages, a change like others
		e.Event = &timerv1.TimerEvent_Updated{Updated: &timerv1.TimerUpdated{Timer: t}}
	},
	minoots.EventTimerPaused: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Paused{Paused: &timerv1.TimerPaused{Timer: t}}
	},
	minoots.EventTimerResumed: func(e *timerv1.TimerEvent, t *timerv1.Timer) {
		e.Event = &timerv1.TimerEvent_Resumed{Resumed: &timerv1.TimerResumed{Timer: t}}
	},
}

// grpcEvent is an event as gRPC has it. The timer may be nil: it may be gone.
func grpcEvent(e *eventhub.Event, timer *timerv1.Timer) *timerv1.TimerEvent {
	out := &timerv1.TimerEvent{
		Id: e.ID, Cursor: e.Cursor, Type: string(e.Type), TenantId: e.TenantID, TimerId: e.TimerID.String(),
		Occurrence: int32(e.Occurrence), OccurredAtIso: e.OccurredAt.String(), TraceId: e.TraceID, DedupeKey: e.DedupeKey,
		DataJson: string(e.Data), Version: int32(e.Version),
	}
	if timer == nil { // as much as an event tells
		timer = &timerv1.Timer{Id: out.GetTimerId(), TenantId: e.TenantID}
	}
	switch {
	case grpcEvents[e.Type] != nil:
		grpcEvents[e.Type](out, timer)
	case e.Type == minoots.EventFiringSkipped:
		out.Event = &timerv1.TimerEvent_Skipped{Skipped: &timerv1.FiringSkipped{Reason: readData(e.Data).Reason}}
	default:
		out.Event = &timerv1.TimerEvent_Action{Action: actionEvent(e)}
	}
	return out
}

// eventData is what the data of some types have.
type eventData struct {
	ActionID string `json:"actionId"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
}

func readData(raw json.RawMessage) (d eventData) {
	_ = json.Unmarshal(raw, &d) // what is not there stays empty
	return d
}

func actionEvent(e *eventhub.Event) *timerv1.ActionEvent {
	data := readData(e.Data)
	out := &timerv1.ActionEvent{Result: &timerv1.ActionResult{
		ActionId: data.ActionID, MetadataJson: string(e.Data),
		Success: e.Type == minoots.EventActionSucceeded || e.Type == minoots.EventActionAcknowledged,
	}}
	if data.Error != "" {
		out.Error = &timerv1.ExecutionError{Message: data.Error}
	}
	return out
}
