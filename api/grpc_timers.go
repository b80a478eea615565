package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// grpcTimers implements minoots.timer.v1.HorologyKernel.
type grpcTimers struct{ *API }

var _ timerv1connect.HorologyKernelHandler = grpcTimers{}

// ScheduleTimer creates a timer, as createTimer does.
func (g grpcTimers) ScheduleTimer(ctx context.Context, req *connect.Request[timerv1.TimerScheduleRequest]) (*connect.Response[timerv1.TimerScheduleResponse], error) {
	key, err := idempotencyKey(req.Header())
	if err != nil {
		return nil, err
	}
	spec, err := specOf(req.Msg)
	if err != nil {
		return nil, err
	}
	var print []byte
	if key != "" {
		if print, err = grpcFingerprint(req.Msg); err != nil {
			return nil, err
		}
	}
	created, err := g.create(ctx, spec, key, print)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&timerv1.TimerScheduleResponse{Timer: grpcTimer(&created.Timer), Replayed: created.Replayed}), nil
}

// grpcFingerprint tells one request from another: the SHA-256 of its deterministic
// form. A key that is used over gRPC and over REST is a conflict.
func grpcFingerprint(m proto.Message) ([]byte, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	sum := sha256.Sum256(text)
	return sum[:], err
}

// CancelTimer cancels, as cancelTimer does.
func (g grpcTimers) CancelTimer(ctx context.Context, req *connect.Request[timerv1.TimerCancelRequest]) (*connect.Response[timerv1.Timer], error) {
	id, err := g.timerID(ctx, req.Msg.GetTenantId(), req.Msg.GetTimerId())
	if err != nil {
		return nil, err
	}
	reason, by := req.Msg.GetReason(), req.Msg.GetRequestedBy()
	if err := checkStorable(field{"reason", &reason}, field{"requestedBy", &by}); err != nil {
		return nil, err
	}
	timer, err := g.cancel(ctx, id, cancelRequest{Reason: optional(reason), RequestedBy: optional(by)})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(grpcTimer(&timer)), nil
}

// GetTimer reads one timer.
func (g grpcTimers) GetTimer(ctx context.Context, req *connect.Request[timerv1.TimerGetRequest]) (*connect.Response[timerv1.Timer], error) {
	id, err := g.timerID(ctx, req.Msg.GetTenantId(), req.Msg.GetTimerId())
	if err != nil {
		return nil, err
	}
	timer, err := g.db.TimerGet(ctx, principalOf(ctx).TenantID, id)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(grpcTimer(&timer)), nil
}

// timerID is the timer that a request means, if it is of the caller's tenant.
func (g grpcTimers) timerID(ctx context.Context, tenant, id string) (minoots.ID, error) {
	if err := sameTenant(principalOf(ctx), tenant, "tenant_id"); err != nil {
		return minoots.ID{}, err
	}
	parsed, err := minoots.ParseID(id)
	if err != nil {
		return minoots.ID{}, invalidField("timer_id", "must be the id of a timer, a UUID")
	}
	return parsed, nil
}

// ListTimers gives a page of timers.
func (g grpcTimers) ListTimers(ctx context.Context, req *connect.Request[timerv1.TimerListRequest]) (*connect.Response[timerv1.TimerListResponse], error) {
	if err := sameTenant(principalOf(ctx), req.Msg.GetTenantId(), "tenant_id"); err != nil {
		return nil, err
	}
	limit := int(req.Msg.GetPageSize())
	if limit == 0 {
		limit = defaultLimit
	}
	if limit > maxLimit {
		return nil, invalidField("page_size", "must be from 1 to %d, or 0 for %d", maxLimit, defaultLimit)
	}
	filter := db.TimerPageRequest{Limit: limit + 1}
	for _, word := range req.Msg.GetStatuses() {
		status, ok := statusOf(word)
		if !ok {
			return nil, invalidField("statuses", "must be among %v", minoots.Statuses)
		}
		filter.Statuses = append(filter.Statuses, status)
	}
	if token := req.Msg.GetPageToken(); token != "" {
		place, err := decodeCursor(cursorTimers, timerMark(filter.TimerFilter), token)
		switch {
		case errors.Is(err, errCursorFilters):
			return nil, invalidField("page_token", "%s", err)
		case err != nil || !validTimerPlace(place):
			return nil, invalidField("page_token", "must be the next_page_token of a page of this list")
		}
		filter.After = timerPosition(place)
	}
	timers, err := g.db.TimerPage(ctx, principalOf(ctx).TenantID, filter)
	if err != nil {
		return nil, err
	}
	page := pageOf(timers, limit, timerCursor(filter.TimerFilter))
	out := &timerv1.TimerListResponse{}
	for i := range page.Items {
		out.Timers = append(out.Timers, grpcTimer(&page.Items[i]))
	}
	if page.NextCursor != nil {
		out.NextPageToken = *page.NextCursor
	}
	return connect.NewResponse(out), nil
}

// statusOf reads a status as REST writes it, or as the enum does.
func statusOf(word string) (minoots.Status, bool) {
	if n, ok := timerv1.TimerStatus_value[word]; ok {
		for status, own := range grpcStatuses {
			if int32(own) == n {
				return status, true
			}
		}
	}
	status := minoots.Status(word)
	return status, slices.Contains(minoots.Statuses, status) || status == minoots.StatusArmed
}

// invalidField is a mistake in one field of a message, by its name there.
func invalidField(name, format string, args ...any) error {
	return &minoots.Error{Code: minoots.CodeInvalid, Message: invalidRequest, Fields: []minoots.FieldError{
		{Path: name, Message: minoots.Errorf(minoots.CodeInvalid, format, args...).Message},
	}}
}

// optional gives nil for the empty text, which over gRPC is absence.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
