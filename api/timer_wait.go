package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

const (
	defaultWait = 30 * time.Second
	maxWait     = 5 * time.Minute
)

func (a *API) timerWaitRoutes() {
	register(a, route{
		ID: "waitTimer", Method: http.MethodGet, Path: "/v1/timers/{id}/wait", Tag: tagTimers,
		Summary: "Wait until a timer is over",
		Description: "Answers with the timer as soon as it is settled, failed or cancelled, mostly within some tens of " +
			"milliseconds; with status 204 when the `timeout` is up, or when the replica stops: ask again. A recurring timer " +
			"is over when its recurrence is.",
		Role: minoots.RoleTimerRead, Errors: []int{http.StatusNotFound, http.StatusTooManyRequests},
		Responses: map[string]*huma.Response{"204": {Description: "The timer is not over yet"}},
		Timeout:   maxWait + operationTimeout,
	}, a.waitTimer)
}

type waitTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Timeout string     `query:"timeout" default:"30s" doc:"How long to wait, up to 5m: a duration, or a number of seconds." example:"1m"`
	timeout time.Duration
}

// Resolve implements huma.Resolver.
func (in *waitTimerInput) Resolve(huma.Context) []error {
	in.timeout = defaultWait
	if in.Timeout == "" {
		return nil
	}
	if seconds, err := strconv.ParseUint(in.Timeout, 10, 16); err == nil {
		in.timeout = time.Duration(seconds) * time.Second
	} else {
		d, err := minoots.ParseDuration(in.Timeout)
		if err != nil {
			return []error{badParam("query", "timeout", "must be a duration such as 30s, or a number of seconds")}
		}
		in.timeout = time.Duration(d)
	}
	if in.timeout < 0 || in.timeout > maxWait {
		return []error{badParam("query", "timeout", "must be from 0 to %s", minoots.Duration(maxWait))}
	}
	return nil
}

type waitTimerOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"The timer's version, quoted."`
	Body   *minoots.Timer
}

func (a *API) waitTimer(ctx context.Context, in *waitTimerInput) (*waitTimerOutput, error) {
	tenant := principalOf(ctx).TenantID
	timer, err := a.db.TimerGet(ctx, tenant, in.ID)
	if err != nil {
		return nil, err
	}
	if !timer.Status.Terminal() {
		if timer, err = a.waits.wait(ctx, timer, in.timeout); err != nil {
			return nil, err
		}
	}
	if !timer.Status.Terminal() {
		return &waitTimerOutput{Status: http.StatusNoContent}, nil
	}
	return &waitTimerOutput{Status: http.StatusOK, ETag: etag(timer), Body: &timer}, nil
}
