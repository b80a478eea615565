package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// healthService is the name of gRPC's own protocol of health.
const healthService = "grpc.health.v1.Health"

// watchEvery is how often a watched health is looked at; it is what load balancers
// ask for, too.
const watchEvery = time.Second

var errUnknownService = errors.New("there is no such service here")

// healthServer answers grpc.health.v1 by the replica's own readiness, which
// /readyz tells as well. There is one health for all services.
type healthServer struct {
	ready func(context.Context) bool
}

// newHealthHandler gives the path and the handler of the service.
func newHealthHandler(ready func(context.Context) bool) (string, http.Handler) {
	s := healthServer{ready}
	mux := http.NewServeMux()
	path := "/" + healthService + "/"
	mux.Handle(path+"Check", connect.NewUnaryHandler(path+"Check", s.check))
	mux.Handle(path+"Watch", connect.NewServerStreamHandler(path+"Watch", s.watch))
	return path, mux
}

func (s healthServer) check(ctx context.Context, req *connect.Request[healthv1.HealthCheckRequest]) (*connect.Response[healthv1.HealthCheckResponse], error) {
	if !knownService(req.Msg.GetService()) {
		return nil, connect.NewError(connect.CodeNotFound, errUnknownService)
	}
	return connect.NewResponse(&healthv1.HealthCheckResponse{Status: s.status(ctx)}), nil
}

// watch sends the health now, and again whenever it changes.
func (s healthServer) watch(ctx context.Context, req *connect.Request[healthv1.HealthCheckRequest], out *connect.ServerStream[healthv1.HealthCheckResponse]) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last := healthv1.HealthCheckResponse_UNKNOWN
	for {
		now := healthv1.HealthCheckResponse_SERVICE_UNKNOWN
		if knownService(req.Msg.GetService()) {
			now = s.status(ctx)
		}
		if now != last {
			if err := out.Send(&healthv1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s healthServer) status(ctx context.Context) healthv1.HealthCheckResponse_ServingStatus {
	if s.ready(ctx) {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}

func knownService(name string) bool {
	return name == "" || name == timerv1connect.HorologyKernelName || name == healthService
}
