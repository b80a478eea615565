package api_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/minoots/minoots"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
)

func TestGRPCRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	there, err := h.schedule(inMs(60_000))
	require.NoError(t, err)
	before := b.count("timers")
	id := there.GetTimer().GetId()
	with := func(change func(*timerv1.TimerScheduleRequest)) *timerv1.TimerScheduleRequest {
		in := inMs(60_000)
		change(in)
		return in
	}
	for _, c := range []struct {
		name, method string
		in           any
		code         codes.Code
		field, says  string
	}{
		{"no when", "ScheduleTimer", &timerv1.TimerScheduleRequest{}, codes.InvalidArgument, "", "exactly one"},
		{"too long", "ScheduleTimer", inMs(1 << 63), codes.InvalidArgument, "duration_ms", "100 years"},
		{"no instant", "ScheduleTimer", &timerv1.TimerScheduleRequest{ScheduleTime: &timerv1.TimerScheduleRequest_FireTimeIso{FireTimeIso: "soon"}}, codes.InvalidArgument, "fire_time_iso", "RFC 3339"},
		{"past", "ScheduleTimer", &timerv1.TimerScheduleRequest{ScheduleTime: &timerv1.TimerScheduleRequest_FireTimeIso{FireTimeIso: "2020-01-01T00:00:00Z"}}, codes.InvalidArgument, "fire_time_iso", "in the past"},
		{"metadata", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.MetadataJson = `{"a":` }), codes.InvalidArgument, "metadata_json", "must be JSON"},
		{"deep metadata", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) {
			m.MetadataJson = strings.Repeat("[", 100) + strings.Repeat("]", 100)
		}), codes.InvalidArgument, "metadata_json" + strings.Repeat("[0]", 7), "64 deep"},
		{"two documents", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.MetadataJson = `1},{"metadata":2` }), codes.InvalidArgument, "metadata_json", "must be JSON"},
		{"NUL", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.MetadataJson = `"\u0000"` }), codes.InvalidArgument, "metadata_json", "NUL"},
		{"NUL in name", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.Name = "\x00" }), codes.InvalidArgument, "name", "NUL"},
		{"unknown field", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.ActionBundleJson = `{"actons":[]}` }), codes.InvalidArgument, "action_bundle_json.actons", "not a field"},
		{"kind", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) {
			m.ActionBundleJson = `{"actions":[{"id":"a","kind":"email"}]}`
		}), codes.InvalidArgument, "action_bundle_json.actions[0].kind", "must be one of"},
		{"other tenant", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.TenantId = "globex" }), codes.PermissionDenied, "", "does not agree"},
		{"too large", "ScheduleTimer", with(func(m *timerv1.TimerScheduleRequest) { m.Name = strings.Repeat("x", 300<<10) }), codes.ResourceExhausted, "", ""},
		{"id", "GetTimer", &timerv1.TimerGetRequest{TimerId: "17"}, codes.InvalidArgument, "timer_id", "UUID"},
		{"none", "GetTimer", &timerv1.TimerGetRequest{TimerId: minoots.NewID().String()}, codes.NotFound, "", ""},
		{"tenant of a read", "GetTimer", &timerv1.TimerGetRequest{TimerId: id, TenantId: "globex"}, codes.PermissionDenied, "", ""},
		{"long reason", "CancelTimer", &timerv1.TimerCancelRequest{TimerId: id, Reason: strings.Repeat("x", 257)}, codes.InvalidArgument, "reason", "at most 256"},
		{"NUL reason", "CancelTimer", &timerv1.TimerCancelRequest{TimerId: id, Reason: "\x00"}, codes.InvalidArgument, "reason", "NUL"},
		{"page size", "ListTimers", &timerv1.TimerListRequest{PageSize: 1001}, codes.InvalidArgument, "page_size", "from 1 to 1000"},
		{"page token", "ListTimers", &timerv1.TimerListRequest{PageToken: "x"}, codes.InvalidArgument, "page_token", "next_page_token"},
		{"status", "ListTimers", &timerv1.TimerListRequest{Statuses: []string{"asleep"}}, codes.InvalidArgument, "statuses", "must be among"},
	} {
		err := h.call(h.ctx(), c.method, c.in, &timerv1.Timer{})
		s := status.Convert(err)
		assert.Equal(t, c.code, s.Code(), "%s: %v", c.name, err)
		assert.Contains(t, s.Message(), c.says, c.name)
		if c.field == "" {
			continue
		}
		assert.Contains(t, s.Message(), c.field, c.name)
		assert.Equal(t, c.field, violationsOf(s)[0].GetField(), c.name)
	}
	assert.Equal(t, before, b.count("timers"), "nothing half done")
}

func violationsOf(s *status.Status) []*errdetails.BadRequest_FieldViolation {
	for _, detail := range s.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			return bad.GetFieldViolations()
		}
	}
	return []*errdetails.BadRequest_FieldViolation{{}}
}

func TestGRPCAsksForACredential(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	out, err := h.schedule(inMs(60_000))
	require.NoError(t, err)
	get := &timerv1.TimerGetRequest{TimerId: out.GetTimer().GetId()}

	bare := t.Context()
	assert.Equal(t, codes.Unauthenticated, status.Code(h.call(bare, "GetTimer", get, &timerv1.Timer{})))
	apiKey := metadata.AppendToOutgoingContext(bare, "x-api-key", b.admin)
	require.NoError(t, h.call(apiKey, "GetTimer", get, &timerv1.Timer{}))
	h.key = b.other
	assert.Equal(t, codes.NotFound, status.Code(h.call(h.ctx(), "GetTimer", get, &timerv1.Timer{})), "another tenant's")
	h.key = b.key("acme", minoots.RoleTimerRead)
	require.NoError(t, h.call(h.ctx(), "GetTimer", get, &timerv1.Timer{}))
	assert.Equal(t, codes.PermissionDenied, status.Code(h.call(h.ctx(), "CancelTimer", &timerv1.TimerCancelRequest{TimerId: get.GetTimerId()}, &timerv1.Timer{})))
	_, err = h.schedule(inMs(60_000))
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
	assert.NotContains(t, b.log.String(), b.admin)
}

// While Postgres is away, callers are told to try again, and nothing of ours.
func TestGRPCWithoutPostgres(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	_, err := h.schedule(inMs(60_000))
	require.NoError(t, err, "the key is known from now on")
	b.db.Close()
	_, err = h.schedule(inMs(60_000))
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	_, _, err = net.SplitHostPort(status.Convert(err).Message())
	assert.Error(t, err, "no address in it")
}
