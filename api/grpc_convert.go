package api

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonguard"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
)

// grpcStatuses is the one table of statuses on the wire.
var grpcStatuses = map[minoots.Status]timerv1.TimerStatus{
	minoots.StatusScheduled: timerv1.TimerStatus_TIMER_STATUS_SCHEDULED,
	minoots.StatusArmed:     timerv1.TimerStatus_TIMER_STATUS_ARMED,
	minoots.StatusPaused:    timerv1.TimerStatus_TIMER_STATUS_PAUSED,
	minoots.StatusFired:     timerv1.TimerStatus_TIMER_STATUS_FIRED,
	minoots.StatusSettled:   timerv1.TimerStatus_TIMER_STATUS_SETTLED,
	minoots.StatusFailed:    timerv1.TimerStatus_TIMER_STATUS_FAILED,
	minoots.StatusCancelled: timerv1.TimerStatus_TIMER_STATUS_CANCELLED,
}

// specOf is the request as REST would have it. What it holds as JSON passes the
// same guard as a body; the rest is for TimerSpec.Validate to judge.
func specOf(m *timerv1.TimerScheduleRequest) (minoots.TimerSpec, error) {
	spec := minoots.TimerSpec{
		TenantID: m.GetTenantId(), RequestedBy: m.GetRequestedBy(), Name: m.GetName(),
		Labels: m.GetLabels(), JitterMs: m.GetJitterMs(),
	}
	bad := &minoots.Error{Code: minoots.CodeInvalid, Message: "timer does not validate"}
	switch when := m.GetScheduleTime().(type) {
	case *timerv1.TimerScheduleRequest_DurationMs:
		// A number beyond the range is for Validate to refuse, so it must not wrap.
		d := minoots.Duration(min(when.DurationMs, math.MaxInt64/uint64(time.Millisecond))) * minoots.Duration(time.Millisecond)
		spec.Duration = &d
	case *timerv1.TimerScheduleRequest_FireTimeIso:
		spec.FireAt = new(minoots.Instant)
		if err := spec.FireAt.UnmarshalText([]byte(when.FireTimeIso)); err != nil {
			bad.Fields = append(bad.Fields, minoots.FieldError{Path: "fireAt", Message: `must be an RFC 3339 instant such as "2026-12-01T09:00:00Z"`})
		}
	case *timerv1.TimerScheduleRequest_RecurrenceJson:
		spec.Recurrence = fromJSON[minoots.Recurrence](bad, "recurrence", when.RecurrenceJson)
	}
	spec.ActionBundle = fromJSON[minoots.Bundle](bad, "actionBundle", m.GetActionBundleJson())
	spec.AgentBinding = fromJSON[minoots.AgentBinding](bad, "agentBinding", m.GetAgentBindingJson())
	spec.Misfire = fromJSON[minoots.Misfire](bad, "misfire", m.GetMisfireJson())
	if held := fromJSON[metadataHolder](bad, "metadata", wrapped(m.GetMetadataJson())); held != nil {
		spec.Metadata = held.Metadata
	}
	if bad.Fields != nil {
		return spec, bad
	}
	return spec, nil
}

// metadataHolder lets the guard read what may be any JSON.
type metadataHolder struct {
	Metadata json.RawMessage `json:"metadata"`
}

func wrapped(text string) string {
	if text == "" {
		return ""
	}
	return `{"metadata":` + text + `}`
}

// fromJSON reads a field that holds JSON; nil for one that is empty or null. Its
// mistakes are noted below the path.
func fromJSON[T any](bad *minoots.Error, path, text string) *T {
	if text == "" || strings.TrimSpace(text) == "null" {
		return nil
	}
	v := new(T)
	err := decoderOf[T]().Decode([]byte(text), v)
	if err == nil {
		return v
	}
	var found *jsonguard.Error
	if !errors.As(err, &found) || found.Reason == jsonguard.NotJSON || len(found.Fields) == 0 {
		bad.Fields = append(bad.Fields, minoots.FieldError{Path: path, Message: "must be JSON, as text"})
		return nil
	}
	for _, f := range found.Fields {
		at := strings.TrimSuffix(path+"."+f.Path, ".")
		if path == "metadata" { // the holder's field has the name already
			at = f.Path
		}
		bad.Fields = append(bad.Fields, minoots.FieldError{Path: at, Message: f.Message})
	}
	return nil
}

// checkStorable refuses texts that Postgres cannot hold: over REST the guard of the
// body does.
func checkStorable(fields ...field) error {
	for _, f := range fields {
		if !storable(*f.text) {
			return invalidField(grpcField(f.path), "must be valid UTF-8 without NUL")
		}
	}
	return nil
}

// grpcTimer is a timer as gRPC has it.
func grpcTimer(t *minoots.Timer) *timerv1.Timer {
	out := &timerv1.Timer{
		Id: t.ID.String(), TenantId: t.TenantID, RequestedBy: t.RequestedBy, Name: t.Name, Status: grpcStatuses[t.Status],
		CreatedAtIso: t.CreatedAt.String(), UpdatedAtIso: t.UpdatedAt.String(), FireAtIso: t.FireAt.String(),
		FiredAtIso: instantText(t.FiredAt), CancelledAtIso: instantText(t.CancelledAt), SettledAtIso: instantText(t.SettledAt),
		CancelReason: textOf(t.CancelReason), CancelledBy: textOf(t.CancelledBy), FailureReason: textOf(t.FailureReason),
		MetadataJson: string(t.Metadata), Labels: t.Labels, StateVersion: t.Version, JitterMs: t.JitterMs,
		Occurrence: int32(min(t.Occurrence, math.MaxInt32)),
	}
	if t.DurationMs != nil {
		out.DurationMs = uint64(max(*t.DurationMs, 0))
	}
	if t.ActionBundle != nil {
		out.ActionBundleJson = jsonText(t.ActionBundle)
	}
	if t.AgentBinding != nil {
		out.AgentBindingJson = jsonText(t.AgentBinding)
	}
	if t.Recurrence != nil {
		out.RecurrenceJson = jsonText(t.Recurrence)
	}
	if t.Misfire != nil {
		out.MisfireJson = jsonText(t.Misfire)
	}
	return out
}

func instantText(i *minoots.Instant) string {
	if i == nil {
		return ""
	}
	return i.String()
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// jsonText is what REST would answer. What was stored as JSON can be written as JSON.
func jsonText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
