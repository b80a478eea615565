package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func (a *API) timerReplayRoutes() {
	register(a, route{
		ID: "replayTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/replay", Tag: tagTimers,
		Summary: "Run a timer again that is over",
		Description: "A one-shot timer that settled or failed is due again: now, after a `delay`, or at a `fireAt`. It " +
			"fires as another occurrence, with `webhook-id`s of its own. One that was cancelled, that is not over, or " +
			"that recurs is a conflict. With `If-Match`, a repeat of a request whose answer was lost is status 412 and " +
			"does nothing.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
		Example: `{"delay": "10m"}`,
	}, a.replayTimer)
}

type replayRequest struct {
	FireAt *minoots.Instant  `json:"fireAt,omitempty" doc:"At this instant, RFC 3339."`
	Delay  *minoots.Duration `json:"delay,omitempty" doc:"This long from now." example:"10m"`
}

type replayTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	IfMatch string     `header:"If-Match" doc:"The ETag that the timer must have."`
	Request optionalBody[replayRequest]
	version int64
}

// Resolve implements huma.Resolver.
func (in *replayTimerInput) Resolve(huma.Context) []error {
	if in.IfMatch == "" || in.IfMatch == "*" {
		return nil
	}
	text, err := strconv.Unquote(strings.TrimSpace(in.IfMatch))
	if err == nil {
		in.version, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil || in.version < 1 {
		return []error{badParam("header", "If-Match", `must be the ETag of the timer, in quotes, such as "3", or *`)}
	}
	return nil
}

func (a *API) replayTimer(ctx context.Context, in *replayTimerInput) (*timerOutput, error) {
	asked, now := in.Request.Value, a.db.Clock().Now()
	switch {
	case asked.FireAt != nil && asked.Delay != nil:
		return nil, invalid("replay", "", "must have at most one of fireAt and delay")
	case asked.Delay != nil && (*asked.Delay < 0 || *asked.Delay > minoots.Duration(minoots.MaxHorizon)):
		return nil, invalid("replay", "delay", "must be from 0 to %s (100 years)", minoots.Duration(minoots.MaxHorizon))
	case asked.FireAt != nil:
		if err := checkFireAt("replay", asked.FireAt, now); err != nil {
			return nil, err
		}
	}
	return a.changed(a.db.TimerReplay(ctx, principalOf(ctx).TenantID, in.ID,
		db.Replay{Delay: asked.Delay, At: asked.FireAt, Version: in.version}))
}

// checkFireAt refuses an instant that has passed or is beyond the horizon.
func checkFireAt(what string, at *minoots.Instant, now time.Time) error {
	switch {
	case at.Before(now):
		return invalid(what, "fireAt", "is in the past (now is %s); must be after that", minoots.InstantOf(now))
	case at.After(now.Add(minoots.MaxHorizon)):
		return invalid(what, "fireAt", "must be within 100 years from now")
	}
	return nil
}
