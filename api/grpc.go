package api

import (
	"context"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/proto/minoots/timer/v1/timerv1connect"
)

// The gRPC interface, for gRPC, gRPC-Web and plain HTTP clients on the port of the
// API. It is a thin door: a request passes exchange.go and auth.go as any other,
// is turned into what REST would have (grpc_convert.go), and calls the same
// functions (grpc_timers.go). Health and reflection need no credential.

// grpcRoles are the roles that the procedures need.
var grpcRoles = map[string]minoots.Role{
	timerv1connect.HorologyKernelScheduleTimerProcedure:     minoots.RoleTimerWrite,
	timerv1connect.HorologyKernelCancelTimerProcedure:       minoots.RoleTimerCancel,
	timerv1connect.HorologyKernelGetTimerProcedure:          minoots.RoleTimerRead,
	timerv1connect.HorologyKernelListTimersProcedure:        minoots.RoleTimerRead,
	timerv1connect.HorologyKernelStreamTimerEventsProcedure: minoots.RoleTimerRead,
}

// maxGRPCMessage leaves room for what protobuf adds to a timer's JSON.
const maxGRPCMessage = minoots.MaxTimerBytes + 16<<10

// grpcRoutes mounts the services.
func (a *API) grpcRoutes() {
	options := []connect.HandlerOption{
		connect.WithInterceptors(grpcDoor{a}),
		connect.WithReadMaxBytes(maxGRPCMessage),
	}
	mount := func(path string, handler http.Handler) { a.mux.Handle(path, a.asRPC(handler)) }
	mount(timerv1connect.NewHorologyKernelHandler(grpcTimers{a}, options...))
	mount(newHealthHandler(a.ready))
	reflector := grpcreflect.NewStaticReflector(timerv1connect.HorologyKernelName, healthService)
	mount(grpcreflect.NewHandlerV1(reflector))
	mount(grpcreflect.NewHandlerV1Alpha(reflector))
}

// asRPC names the operation before the handler runs, so that what it refuses by
// itself, such as a message that is too large, is not taken for an unknown path.
func (a *API) asRPC(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		x := exchangeOf(r.Context())
		if x.operation = "grpc"; grpcRoles[r.URL.Path] != "" {
			x.operation = "grpc." + method
		}
		next.ServeHTTP(w, r)
	})
}

// grpcDoor lets calls in: who is it, and may it?
type grpcDoor struct{ *API }

// WrapUnary implements connect.Interceptor.
func (d grpcDoor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, operationTimeout)
		defer cancel()
		if err := d.enterRPC(ctx, req.Spec().Procedure, req.Header()); err != nil {
			return nil, d.grpcError(ctx, err)
		}
		answer, err := next(ctx, req)
		if err != nil {
			return nil, d.grpcError(ctx, err)
		}
		return answer, nil
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (d grpcDoor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := d.enterRPC(ctx, conn.Spec().Procedure, conn.RequestHeader())
		if err == nil {
			err = next(ctx, conn)
		}
		if err != nil {
			return d.grpcError(ctx, err)
		}
		return nil
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (grpcDoor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// enterRPC finds the principal of a call.
func (a *API) enterRPC(ctx context.Context, procedure string, headers http.Header) error {
	principal, err := a.authenticate(ctx, headers)
	if err != nil {
		return err
	}
	exchangeOf(ctx).principal = principal
	return authorize(principal, grpcRoles[procedure])
}
