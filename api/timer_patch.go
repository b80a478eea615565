package api

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func (a *API) timerPatchRoutes() {
	register(a, route{
		ID: "updateTimer", Method: http.MethodPatch, Path: "/v1/timers/{id}", Tag: tagTimers,
		Summary: "Change a timer",
		Description: "A merge patch (RFC 7396) of a scheduled or paused timer: what it names is replaced, null takes " +
			"away, objects are merged, lists are not. The whole must validate as a new timer would. A `duration` counts from now, and " +
			"replaces a `fireAt` or a `recurrence`, as each of these replaces the others. A `recurrence` is merged, and " +
			"computed anew from now. With `If-Match`, a timer that has changed since is " +
			"status 412.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
		Example: `{"name": "resume-later", "duration": "2h", "labels": {"session": null, "urgent": "no"}}`,
	}, a.updateTimer)
}

// timerPatch is what may be changed. Each value is held to its type when it has
// been merged into the timer; null may stand for any.
type timerPatch struct {
	Name         json.RawMessage `json:"name,omitempty" doc:"A string."`
	Duration     json.RawMessage `json:"duration,omitempty" doc:"Fire this long from now, as at the creation."`
	FireAt       json.RawMessage `json:"fireAt,omitempty" doc:"Fire at this instant."`
	Recurrence   json.RawMessage `json:"recurrence,omitempty" doc:"As at the creation."`
	Labels       json.RawMessage `json:"labels,omitempty" doc:"Labels to set; null removes one."`
	Metadata     json.RawMessage `json:"metadata,omitempty" doc:"Any JSON; an object is merged into one."`
	ActionBundle json.RawMessage `json:"actionBundle,omitempty" doc:"Its parts to set. A list of actions replaces the list."`
	AgentBinding json.RawMessage `json:"agentBinding,omitempty" doc:"Its parts to set."`
	Misfire      json.RawMessage `json:"misfire,omitempty" doc:"Its parts to set."`
	JitterMs     json.RawMessage `json:"jitterMs,omitempty" doc:"Milliseconds."`
}

type updateTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	IfMatch string     `header:"If-Match" doc:"The ETag of the timer to change." example:"\"3\""`
	Patch   body[timerPatch]
}

var entityTags = regexp.MustCompile(`^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$`)

// Resolve implements huma.Resolver. A condition that is not understood would be
// none.
func (in *updateTimerInput) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	in.IfMatch = strings.Join(r.Header.Values("If-Match"), ", ")
	if _, given := r.Header["If-Match"]; given && !entityTags.MatchString(in.IfMatch) {
		return []error{badParam("header", "If-Match", `must be an ETag, in quotes, such as "3", or *`)}
	}
	return nil
}

// patchTries bounds how often a patch without a condition is built anew because
// something else changed the timer meanwhile. Each time one of them gets through.
const patchTries = 20

func (a *API) updateTimer(ctx context.Context, in *updateTimerInput) (*timerOutput, error) {
	tenant := principalOf(ctx).TenantID
	for try := 1; ; try++ {
		timer, err := a.db.TimerGet(ctx, tenant, in.ID)
		if err != nil {
			return nil, err
		}
		if in.IfMatch != "" && !namedBy(in.IfMatch, etag(timer)) {
			return nil, db.Stale(timer.Version)
		}
		update, err := a.patched(ctx, timer, in.Patch.Value)
		if err != nil {
			return nil, err
		}
		if len(update.Fields) == 0 {
			return a.changed(db.Changed{Timer: timer}, nil)
		}
		changed, err := a.db.TimerUpdate(ctx, tenant, in.ID, update)
		if minoots.ErrorCode(err) != minoots.CodeStale || in.IfMatch != "" && in.IfMatch != "*" {
			return a.changed(changed, err)
		}
		if try == patchTries {
			return nil, &minoots.Error{Code: minoots.CodeConflict, Message: "the timer is being changed by others all the time", Hint: "try again"}
		}
	}
}

// namedBy tells whether an If-Match names the tag: never by a weak one (RFC 9110, 13.1.1).
func namedBy(header, tag string) bool {
	return header == "*" || slices.ContainsFunc(strings.Split(header, ","), func(candidate string) bool {
		return strings.TrimSpace(candidate) == tag
	})
}

// patched builds the timer's new definition, and holds it to the rules of a new one.
func (a *API) patched(ctx context.Context, t minoots.Timer, patch timerPatch) (db.TimerUpdate, error) {
	update := db.TimerUpdate{Version: t.Version, Occurrence: t.Occurrence + 1}
	text, err := json.Marshal(patch)
	if err != nil {
		return update, err
	}
	changes := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &changes); err != nil {
		return update, err
	}
	for field := range changes {
		update.Fields = append(update.Fields, field)
	}
	slices.Sort(update.Fields)
	old := minoots.TimerSpec{
		Name: t.Name, Labels: t.Labels, Metadata: t.Metadata, ActionBundle: t.ActionBundle,
		AgentBinding: t.AgentBinding, Misfire: t.Misfire, JitterMs: t.JitterMs,
	}
	if _, given := changes["recurrence"]; given {
		old.Recurrence = t.Recurrence
	}
	definition, err := json.Marshal(old)
	if err != nil {
		return update, err
	}
	if definition, err = mergePatch(definition, text); err != nil {
		return update, err
	}
	if len(definition) > minoots.MaxTimerBytes {
		return update, minoots.Errorf(minoots.CodeTooLarge, "the timer would be %d bytes, and must be at most %d", len(definition), minoots.MaxTimerBytes)
	}
	if err := decoderOf[minoots.TimerSpec]().Decode(definition, &update.Spec); err != nil {
		return update, guardError(err)
	}
	spec := &update.Spec
	moves := spec.Duration != nil || spec.FireAt != nil || spec.Recurrence != nil
	if !moves && keepsTime(t, changes) {
		// The time that it has was right when it was set, and may have passed since:
		// another stands for it while the rest is checked.
		stand := minoots.Duration(minoots.MaxHorizon)
		spec.Duration = &stand
	}
	if err := a.validate(ctx, spec); err != nil {
		return update, err
	}
	_, jitter := changes["jitterMs"]
	if !moves {
		spec.Duration = nil
		if jitter && t.Recurrence != nil {
			if err := a.checkJitter(*spec, *t.Recurrence); err != nil {
				return update, err
			}
		}
	}
	update.MovesDue = moves || jitter
	return update, nil
}

// checkJitter holds a new jitter to a recurrence that stays. What else there may
// be to say of that was said when it was set.
func (a *API) checkJitter(spec minoots.TimerSpec, r minoots.Recurrence) error {
	if a.checks.Recurrence == nil {
		return nil
	}
	spec.Recurrence, r.EndAt = &r, nil // it may have ended meanwhile
	for _, f := range a.checks.Recurrence(&spec, a.db.Clock().Now()) {
		if f.Path == "jitterMs" {
			return invalid("timer", f.Path, "%s", f.Message)
		}
	}
	return nil
}

// keepsTime tells whether a patch that sets no time leaves the timer the one it
// has. What a timer does not have, null may take away.
func keepsTime(t minoots.Timer, changes map[string]json.RawMessage) bool {
	taken := "fireAt"
	switch {
	case t.Duration != nil:
		taken = "duration"
	case t.Recurrence != nil:
		taken = "recurrence"
	}
	_, given := changes[taken]
	return !given
}
