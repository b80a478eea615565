package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

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
	register(a, route{
		ID: "snoozeTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/snooze", Tag: tagTimers,
		Summary: "Make a timer due later",
		Description: "By a `duration` after its `fireAt`, or after now if that has passed; or `until` an instant, which " +
			"can be repeated safely. Never earlier: an instant before its `fireAt` is a conflict, as is a timer that is " +
			"paused, has fired or is over.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Example: `{"duration": "10m"}`,
	}, a.snoozeTimer)
	register(a, route{
		ID: "fireTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/fire", Tag: tagTimers,
		Summary: "Fire a timer now",
		Description: "A scheduled or paused timer is due now; the answer does not wait for it to fire. One that is due " +
			"already is given as it is. One that has fired or is over is a conflict.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.fireTimer)
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
	policy, err := resumePolicy(in.Request.Value.Policy)
	if err != nil {
		return nil, err
	}
	return a.changed(a.db.TimerResume(ctx, principalOf(ctx).TenantID, in.ID, policy))
}

// resumePolicy gives the policy that was asked for, or else the default.
func resumePolicy(asked minoots.ResumePolicy) (minoots.ResumePolicy, error) {
	policy := cmp.Or(asked, minoots.ResumePolicies[0])
	if !slices.Contains(minoots.ResumePolicies, policy) {
		return "", invalid("resume", "policy", "must be one of %v", minoots.ResumePolicies)
	}
	return policy, nil
}

type snoozeRequest struct {
	Duration *minoots.Duration `json:"duration,omitempty" doc:"This much later." example:"10m"`
	Until    *minoots.Instant  `json:"until,omitempty" doc:"At this instant, RFC 3339."`
}

type snoozeTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Request body[snoozeRequest]
}

func (a *API) snoozeTimer(ctx context.Context, in *snoozeTimerInput) (*timerOutput, error) {
	by, until := in.Request.Value.Duration, in.Request.Value.Until
	now := a.db.Clock().Now()
	switch {
	case (by == nil) == (until == nil):
		return nil, invalid("snooze", "", "must have exactly one of duration and until")
	case by != nil && (*by < minoots.Duration(time.Millisecond) || *by > minoots.Duration(minoots.MaxHorizon)):
		return nil, invalid("snooze", "duration", "must be from 1ms to %s (100 years)", minoots.Duration(minoots.MaxHorizon))
	case until != nil && until.Before(now):
		return nil, invalid("snooze", "until", "is in the past (now is %s); must be after that", minoots.InstantOf(now))
	case until != nil && until.After(now.Add(minoots.MaxHorizon)):
		return nil, invalid("snooze", "until", "must be within 100 years from now")
	}
	return a.changed(a.db.TimerSnooze(ctx, principalOf(ctx).TenantID, in.ID, by, until))
}

func (a *API) fireTimer(ctx context.Context, in *timerInput) (*timerOutput, error) {
	return a.changed(a.db.TimerFire(ctx, principalOf(ctx).TenantID, in.ID))
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
