package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/minoots/minoots"
	timerv1 "github.com/minoots/minoots/proto/minoots/timer/v1"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// horology is a client of the gRPC interface by grpc-go, which knows nothing of
// the library that serves it. It takes the generated messages and calls by name.
type horology struct {
	b    *bundle
	conn *grpc.ClientConn
	key  string
}

// serveRPC serves the API as a replica does, HTTP/1.1 and HTTP/2 without TLS, and
// gives its address.
func (b *bundle) serveRPC() string {
	b.t.Helper()
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	b.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func (b *bundle) horology() *horology {
	b.t.Helper()
	return b.dial(b.serveRPC())
}

func (b *bundle) dial(addr string) *horology {
	b.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	return &horology{b: b, conn: conn, key: b.admin}
}

// ctx carries the key, and pairs of metadata beside it.
func (h *horology) ctx(pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(h.b.t.Context(), append([]string{"authorization", "Bearer " + h.key}, pairs...)...)
}

func (h *horology) call(ctx context.Context, method string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return h.conn.Invoke(ctx, "/"+timerv1connect.HorologyKernelName+"/"+method, in, out)
}

func (h *horology) schedule(in *timerv1.TimerScheduleRequest, pairs ...string) (*timerv1.TimerScheduleResponse, error) {
	out := &timerv1.TimerScheduleResponse{}
	return out, h.call(h.ctx(pairs...), "ScheduleTimer", in, out)
}

func inMs(ms uint64) *timerv1.TimerScheduleRequest {
	return &timerv1.TimerScheduleRequest{ScheduleTime: &timerv1.TimerScheduleRequest_DurationMs{DurationMs: ms}}
}

func TestGRPCSchedulesWhatRESTReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	asked := &timerv1.TimerScheduleRequest{
		TenantId: "acme", RequestedBy: "agent:planner", Name: "resume",
		ScheduleTime:     &timerv1.TimerScheduleRequest_DurationMs{DurationMs: 2_700_000},
		ActionBundleJson: `{"actions":[{"id":"wake","kind":"webhook","parameters":{"url":"https://example.com/hook"}}]}`,
		Labels:           map[string]string{"session": "s-17"}, MetadataJson: `{"step": [1, null, "é"]}`, JitterMs: 20,
		MisfireJson: `{"policy":"fire_once"}`,
	}
	out, err := h.schedule(asked)
	require.NoError(t, err)
	timer := out.GetTimer()
	assert.Equal(t, timerv1.TimerStatus_TIMER_STATUS_SCHEDULED, timer.GetStatus())
	assert.EqualValues(t, 2_700_000, timer.GetDurationMs())
	assert.EqualValues(t, 1, timer.GetStateVersion())
	assert.Len(t, b.hints.take(), 1, "the kernels are told, as of any timer")

	var byREST minoots.Timer
	b.call("GET", "/v1/timers/"+timer.GetId(), "").is(http.StatusOK).into(&byREST)
	assert.Equal(t, timer.GetFireAtIso(), byREST.FireAt.String())
	assert.Equal(t, "resume", byREST.Name)
	assert.Equal(t, map[string]string{"session": "s-17"}, byREST.Labels)
	assert.JSONEq(t, asked.GetMetadataJson(), string(byREST.Metadata))
	assert.JSONEq(t, asked.GetMetadataJson(), timer.GetMetadataJson())
	bundle, err := json.Marshal(byREST.ActionBundle)
	require.NoError(t, err)
	assert.JSONEq(t, string(bundle), timer.GetActionBundleJson())
	assert.Equal(t, 5, byREST.ActionBundle.RetryPolicy.MaxAttempts, "with the defaults of REST")

	got := &timerv1.Timer{}
	require.NoError(t, h.call(h.ctx(), "GetTimer", &timerv1.TimerGetRequest{TimerId: timer.GetId()}, got))
	assert.Equal(t, timer.GetFireAtIso(), got.GetFireAtIso())

	cancelled := &timerv1.Timer{}
	require.NoError(t, h.call(h.ctx(), "CancelTimer", &timerv1.TimerCancelRequest{TimerId: timer.GetId(), Reason: "done", RequestedBy: "me"}, cancelled))
	assert.Equal(t, timerv1.TimerStatus_TIMER_STATUS_CANCELLED, cancelled.GetStatus())
	assert.Equal(t, "done", cancelled.GetCancelReason())
	assert.Equal(t, "me", cancelled.GetCancelledBy())
	assert.NotEmpty(t, cancelled.GetCancelledAtIso())
}

func TestGRPCIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	first, err := h.schedule(inMs(60_000), "idempotency-key", "k1")
	require.NoError(t, err)
	again, err := h.schedule(inMs(60_000), "idempotency-key", "k1")
	require.NoError(t, err)
	assert.Equal(t, first.GetTimer().GetId(), again.GetTimer().GetId())
	assert.True(t, again.GetReplayed())
	_, err = h.schedule(inMs(61_000), "idempotency-key", "k1")
	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
	assert.Equal(t, 1, b.count("timers"))
}

func TestGRPCListsInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	var want []string
	for i := range 5 {
		out, err := h.schedule(inMs(uint64(60_000 * (i + 1))))
		require.NoError(t, err)
		want = append(want, out.GetTimer().GetId())
	}
	require.NoError(t, h.call(h.ctx(), "CancelTimer", &timerv1.TimerCancelRequest{TimerId: want[0]}, &timerv1.Timer{}))
	for _, statuses := range [][]string{{"scheduled"}, {"TIMER_STATUS_SCHEDULED"}} {
		var got []string
		for token := ""; ; {
			page := &timerv1.TimerListResponse{}
			require.NoError(t, h.call(h.ctx(), "ListTimers", &timerv1.TimerListRequest{PageSize: 2, PageToken: token, Statuses: statuses}, page))
			assert.LessOrEqual(t, len(page.GetTimers()), 2)
			for _, timer := range page.GetTimers() {
				got = append(got, timer.GetId())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		assert.Equal(t, want[1:], got)
	}
}

// Connect's own protocol is plain HTTP and JSON, over HTTP/1.1 too; gRPC-Web is
// what browsers speak.
func TestGRPCForPlainHTTPAndTheWeb(t *testing.T) {
	t.Parallel()
	b := setup(t)
	addr := b.serveRPC()
	path := "http://" + addr + timerv1connect.HorologyKernelScheduleTimerProcedure
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(`{"name": "plain", "durationMs": "60000"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.admin)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	var out struct {
		Timer struct{ ID, Name, Status string }
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&out))
	assert.Equal(t, "TIMER_STATUS_SCHEDULED", out.Timer.Status)

	web := timerv1connect.NewHorologyKernelClient(http.DefaultClient, "http://"+addr, connect.WithGRPCWeb())
	get := connect.NewRequest(&timerv1.TimerGetRequest{TimerId: out.Timer.ID})
	get.Header().Set("X-Api-Key", b.admin)
	timer, err := web.GetTimer(t.Context(), get)
	require.NoError(t, err)
	assert.Equal(t, "plain", timer.Msg.GetName())
}

func TestGRPCHealthAndReflection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.horology()
	health := healthv1.NewHealthClient(h.conn)
	for _, service := range []string{"", timerv1connect.HorologyKernelName} {
		answer, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		assert.Equal(t, healthv1.HealthCheckResponse_SERVING, answer.GetStatus())
	}
	_, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "nobody"})
	assert.Equal(t, codes.NotFound, status.Code(err))
	watch, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	seen, err := watch.Recv()
	require.NoError(t, err)
	assert.Equal(t, healthv1.HealthCheckResponse_SERVING, seen.GetStatus())
	b.db.Close() // Postgres is not to be had any more
	seen, err = watch.Recv()
	require.NoError(t, err)
	assert.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, seen.GetStatus())

	reflection, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, reflection.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	answer, err := reflection.Recv()
	require.NoError(t, err)
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	assert.Contains(t, names, timerv1connect.HorologyKernelName)
	require.NoError(t, reflection.CloseSend())
}
