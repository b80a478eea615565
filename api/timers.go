package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const tagTimers = "timers"

func (a *API) timerRoutes() {
	register(a, route{
		ID: "createTimer", Method: http.MethodPost, Path: "/v1/timers", Tag: tagTimers,
		Summary: "Create a timer",
		Description: "Says when, by exactly one of `duration`, `fireAt` and `recurrence`, and what to do then, in " +
			"`actionBundle`. A timer without actions is a thing to wait on.\n\nWith an `Idempotency-Key`, a repeat of " +
			"the request gives the first timer again, as it stands by then, with status 200 and `Idempotent-Replayed: " +
			"true`; the key with another body is a conflict.",
		Role: minoots.RoleTimerWrite, Status: http.StatusCreated, Errors: []int{http.StatusConflict},
		Responses: map[string]*huma.Response{"200": a.replayResponse()},
		Example:   timerExample,
	}, a.createTimer)
	register(a, route{
		ID: "getTimer", Method: http.MethodGet, Path: "/v1/timers/{id}", Tag: tagTimers,
		Summary: "Get a timer",
		Description: "With its last firing. The `ETag` is the timer's version; with `If-None-Match`, a timer that has " +
			"not changed is status 304.",
		Role: minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"304": {Description: "The timer has the version of If-None-Match"}},
	}, a.getTimer)
	register(a, route{
		ID: "cancelTimer", Method: http.MethodPost, Path: "/v1/timers/{id}/cancel", Tag: tagTimers,
		Summary: "Cancel a timer",
		Description: "A timer that is over is given as it is. One whose actions are running is a conflict: it has " +
			"fired.",
		Role: minoots.RoleTimerCancel, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Example: `{"reason": "the session ended", "requestedBy": "agent:planner"}`,
	}, a.cancelTimer)
}

const timerExample = `{"name": "resume-research", "duration": "45m", "requestedBy": "agent:planner",
	"labels": {"session": "s-17"}, "metadata": {"step": 3},
	"actionBundle": {"actions": [{"id": "wake", "kind": "webhook", "parameters": {"url": "https://example.com/hook"}}]}}`

type createTimerInput struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Visible ASCII; the same for each try of one request." example:"3b1f8c1e-6d0e-4f0e-9a53-0d7f0d3a4c11"`
	Spec           body[minoots.TimerSpec]
}

// Resolve implements huma.Resolver.
func (in *createTimerInput) Resolve(ctx huma.Context) []error { return checkIdempotencyKey(ctx) }

type createTimerOutput struct {
	Status   int
	Location string `header:"Location" doc:"The timer's path."`
	ETag     string `header:"ETag" doc:"The timer's version, quoted."`
	Replayed string `header:"Idempotent-Replayed" hidden:"true"`
	Body     minoots.Timer
}

func (a *API) createTimer(ctx context.Context, in *createTimerInput) (*createTimerOutput, error) {
	created, err := a.create(ctx, in.Spec.Value, in.IdempotencyKey, in.Spec.fingerprint)
	if err != nil {
		return nil, err
	}
	warned := []db.Created{created}
	a.warnOfHerds(ctx, principalOf(ctx).TenantID, warned)
	timer := warned[0].Timer
	out := &createTimerOutput{
		Status: http.StatusCreated, Location: "/v1/timers/" + timer.ID.String(), ETag: etag(timer), Body: timer,
	}
	if created.Replayed {
		out.Status, out.Replayed = http.StatusOK, "true"
	}
	return out, nil
}

// create validates and stores one timer, and tells the kernels of it. fingerprint
// is of the request, and goes with an idempotency key.
func (a *API) create(ctx context.Context, spec minoots.TimerSpec, key string, fingerprint []byte) (db.Created, error) {
	if err := a.validate(ctx, &spec); err != nil {
		return db.Created{}, err
	}
	created, err := a.creates.TimerCreate(ctx, db.NewTimer{
		ID: minoots.NewID(), TenantID: principalOf(ctx).TenantID, Spec: spec,
		IdempotencyKey: key, Fingerprint: fingerprint,
	})
	if err == nil {
		a.hint(created)
	}
	return created, err
}

// validate checks a spec for the caller and writes its defaults out.
func (a *API) validate(ctx context.Context, s *minoots.TimerSpec) error {
	if err := sameTenant(principalOf(ctx), s.TenantID, "tenantId"); err != nil {
		return err
	}
	if err := s.Validate(a.db.Clock().Now(), a.checks); err != nil {
		return err
	}
	*s = s.WithDefaults()
	return nil
}

// hint tells when the new timers are due; the hinter coalesces.
func (a *API) hint(created ...db.Created) {
	if a.hinter == nil {
		return
	}
	for i := range created {
		if !created[i].Replayed {
			a.hinter.Hint(created[i].DueAt)
		}
	}
}

type getTimerInput struct {
	ID          minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	IfNoneMatch string     `header:"If-None-Match" doc:"An ETag that the caller has."`
}

type getTimerOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"The timer's version, quoted."`
	Body   *minoots.Timer
}

func (a *API) getTimer(ctx context.Context, in *getTimerInput) (*getTimerOutput, error) {
	timer, err := a.db.TimerGet(ctx, principalOf(ctx).TenantID, in.ID)
	if err != nil {
		return nil, err
	}
	out := &getTimerOutput{Status: http.StatusOK, ETag: etag(timer), Body: &timer}
	if matches(in.IfNoneMatch, out.ETag) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

func etag(t minoots.Timer) string { return strconv.Quote(strconv.FormatInt(t.Version, 10)) }

// matches tells whether an If-None-Match names the tag (RFC 9110, 13.1.2).
func matches(header, tag string) bool {
	return header == "*" || slices.ContainsFunc(strings.Split(header, ","), func(candidate string) bool {
		return strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == tag
	})
}

type cancelRequest struct {
	Reason      *string `json:"reason,omitempty" maxLength:"256" doc:"Kept with the timer."`
	RequestedBy *string `json:"requestedBy,omitempty" maxLength:"256" doc:"Who asked, in the caller's own terms."`
}

type cancelTimerInput struct {
	ID      minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Request optionalBody[cancelRequest]
}

type timerOutput struct {
	ETag string `header:"ETag" doc:"The timer's version, quoted."`
	Body minoots.Timer
}

func (a *API) cancelTimer(ctx context.Context, in *cancelTimerInput) (*timerOutput, error) {
	timer, err := a.cancel(ctx, in.ID, in.Request.Value)
	if err != nil {
		return nil, err
	}
	return &timerOutput{ETag: etag(timer), Body: timer}, nil
}

func (a *API) cancel(ctx context.Context, id minoots.ID, asked cancelRequest) (minoots.Timer, error) {
	if err := checkLengths("cancel", field{"reason", asked.Reason}, field{"requestedBy", asked.RequestedBy}); err != nil {
		return minoots.Timer{}, err
	}
	return a.db.TimerCancel(ctx, principalOf(ctx).TenantID, id, asked.Reason, asked.RequestedBy)
}

// field is a text of a request, nil where it was left out.
type field struct {
	path string
	text *string
}

// checkLengths refuses texts that are longer than a name may be. That they can be
// stored the guard has seen to.
func checkLengths(what string, fields ...field) error {
	bad := &minoots.Error{Code: minoots.CodeInvalid, Message: what + " does not validate"}
	for _, f := range fields {
		if f.text != nil && utf8.RuneCountInString(*f.text) > minoots.MaxName {
			bad.Fields = append(bad.Fields, minoots.FieldError{
				Path: f.path, Message: "must be at most " + strconv.Itoa(minoots.MaxName) + " characters",
			})
		}
	}
	if bad.Fields == nil {
		return nil
	}
	return bad
}
