package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func (a *API) timerChangeRoutes() {
	register(a, route{
		ID: "pauseTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/pause", Tag: tagTimers,
		Summary: "Pause a timer",
		Description: "It does not fire until it is resumed. A paused timer is given as it is. One that has fired or is " +
			"over is a conflict.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.pauseTimer)
	register(a, route{
		ID: "resumeTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/resume", Tag: tagTimers,
		Summary: "Resume a paused timer",
		Description: "By `policy`: with `shift`, the default, what was left when it was paused counts on; with `fire` " +
			"it is due when it was to be, and at once if that has passed; with `skip` it is over if that has passed: " +
			"cancelled, with a firing that was skipped. A scheduled timer is given as it is. One that has fired or is " +
			"over is a conflict.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Example: `{"policy": "shift"}`,
	}, a.resumeTimer)
}

type timerInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
}

func (a *API) pauseTimer(ctx context.Context, in *timerInput) (*timerOutput, error) {
	return a.changed(a.db.TimerPause(ctx, principalOf(ctx).TenantID, in.ID))
}

type resumeRequest struct {
	Policy minoots.ResumePolicy `json:"policy,omitempty" enum:"shift,fire,skip" default:"shift" doc:"What becomes of the instant at which it is due."`
}

type resumeTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Request optionalBody[resumeRequest]
}

func (a *API) resumeTimer(ctx context.Context, in *resumeTimerInput) (*timerOutput, error) {
	policy := in.Request.Value.Policy
	if policy == "" {
		policy = minoots.ResumePolicies[0]
	}
	if !slices.Contains(minoots.ResumePolicies, policy) {
		return nil, invalid("resume", "policy", "must be one of %v", minoots.ResumePolicies)
	}
	return a.changed(a.db.TimerResume(ctx, principalOf(ctx).TenantID, in.ID, policy))
}

// changed answers a change, and tells the kernels when the timer is due now.
func (a *API) changed(c db.Changed, err error) (*timerOutput, error) {
	if err != nil {
		return nil, err
	}
	if a.hinter != nil && !c.DueAt.IsZero() {
		a.hinter.Hint(c.DueAt)
	}
	return &timerOutput{ETag: etag(c.Timer), Body: c.Timer}, nil
}

// invalid is one mistake in a body.
func invalid(what, path, format string, args ...any) error {
	return &minoots.Error{
		Code: minoots.CodeInvalid, Message: what + " does not validate",
		Fields: []minoots.FieldError{{Path: path, Message: fmt.Sprintf(format, args...)}},
	}
}
