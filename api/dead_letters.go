package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const tagDeadLetters = "dead-letters"

func (a *API) deadLetterRoutes() {
	register(a, route{
		ID: "listDeadLetters", Method: http.MethodGet, Path: "/v1/dead-letters", Tag: tagDeadLetters,
		Summary: "List dead letters",
		Description: "Actions that ran out of attempts and of escalation, the oldest first; those that wait for " +
			"somebody, unless another `status` is asked for. Filters narrow each other down.",
		Role: minoots.RoleTimerRead,
	}, a.listDeadLetters)
	register(a, route{
		ID: "getDeadLetter", Method: http.MethodGet, Path: "/v1/dead-letters/{id}", Tag: tagDeadLetters,
		Summary:     "Get a dead letter",
		Description: "With its action and all its attempts.",
		Role:        minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
	}, a.getDeadLetter)
	register(a, route{
		ID: "redriveDeadLetter", Method: http.MethodPost, Path: "/v1/dead-letters/{id}/redrive", Tag: tagDeadLetters,
		Summary: "Deliver a dead letter again",
		Description: "At once, with the same `webhook-id` and the attempts that its policy allows, counted on. If it " +
			"succeeds it is resolved; when all that had failed in a firing has, the firing and its timer are settled. " +
			"One that is not dead is a conflict, so of two redrives at once one is told so.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.redriveDeadLetter)
	register(a, route{
		ID: "redriveDeadLetters", Method: http.MethodPost, Path: "/v1/dead-letters/redrive", Tag: tagDeadLetters,
		Summary: "Deliver dead letters again, by filter",
		Description: "Up to 10,000, the oldest first; `more` says that there are more. A filter must be given, or " +
			"`all: true`. With `dryRun` they are only counted.",
		Role:    minoots.RoleTimerWrite,
		Example: `{"kind": "webhook", "errorClass": "timeout", "dryRun": true}`,
	}, a.redriveDeadLetters)
	register(a, route{
		ID: "discardDeadLetter", Method: http.MethodDelete, Path: "/v1/dead-letters/{id}", Tag: tagDeadLetters,
		Summary: "Give a dead letter up",
		Description: "It stays on record as discarded. To do so twice changes nothing; one that is being redriven, or " +
			"is resolved, is a conflict.",
		Role: minoots.RoleTimerWrite, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.discardDeadLetter)
}

type listDeadLettersInput struct {
	Paging
	Status        string          `query:"status" enum:"dead,redriven,resolved,discarded" default:"dead" doc:"Where they stand."`
	TimerID       minoots.ID      `query:"timerId" format:"uuid" doc:"Of this timer."`
	Kind          string          `query:"kind" enum:"webhook,agent_prompt,workflow_event,command" doc:"Of this kind of action."`
	ErrorClass    string          `query:"errorClass" maxLength:"256" doc:"Whose last attempt ended with this class." example:"timeout"`
	CreatedAfter  minoots.Instant `query:"createdAfter" format:"date-time" doc:"Dead since this instant or later."`
	CreatedBefore minoots.Instant `query:"createdBefore" format:"date-time" doc:"Dead before this instant."`
	filter        db.DeadLetterFilter
}

// Resolve implements huma.Resolver: it makes the filter.
func (in *listDeadLettersInput) Resolve(huma.Context) []error {
	place, bad := in.placeAmong(cursorDeadLetters, in.mark(), isID)
	in.filter = db.DeadLetterFilter{
		Status: minoots.DeadLetterStatus(in.Status), TimerID: in.TimerID, Kind: minoots.ActionKind(in.Kind),
		ErrorClass: in.ErrorClass, CreatedAfter: in.CreatedAfter.Time, CreatedBefore: in.CreatedBefore.Time, Limit: in.Limit + 1,
	}
	copy(in.filter.After[:], place)
	if in.Status != "" && !slices.Contains(minoots.DeadLetterStatuses, in.filter.Status) {
		bad = append(bad, badParam("query", "status", "must be one of %v", minoots.DeadLetterStatuses))
	}
	if in.Kind != "" && !slices.Contains(minoots.ActionKinds, in.filter.Kind) {
		bad = append(bad, badParam("query", "kind", "must be one of %v", minoots.ActionKinds))
	}
	return bad
}

// mark is that of the filters, for cursors.
func (in *listDeadLettersInput) mark() uint32 {
	return markOf(in.Status, in.TimerID, in.Kind, in.ErrorClass, in.CreatedAfter.UnixMicro(), in.CreatedBefore.UnixMicro())
}

type listDeadLettersOutput struct {
	Body list[minoots.DeadLetter]
}

func (a *API) listDeadLetters(ctx context.Context, in *listDeadLettersInput) (*listDeadLettersOutput, error) {
	letters, err := a.db.DeadLetterPage(ctx, principalOf(ctx).TenantID, in.filter)
	return &listDeadLettersOutput{Body: pageOf(letters, in.Limit, func(l minoots.DeadLetter) string {
		return encodeMarked(cursorDeadLetters, in.mark(), l.ID[:])
	})}, err
}

type deadLetterInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The dead letter's id."`
}

type deadLetterOutput struct {
	Body minoots.DeadLetter
}

func (a *API) getDeadLetter(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
	l, err := a.db.DeadLetterGet(ctx, principalOf(ctx).TenantID, in.ID)
	return &deadLetterOutput{Body: l}, err
}

func (a *API) redriveDeadLetter(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
	l, err := a.db.DeadLetterRedriveOne(ctx, principalOf(ctx).TenantID, in.ID)
	return &deadLetterOutput{Body: l}, err
}

func (a *API) discardDeadLetter(ctx context.Context, in *deadLetterInput) (*struct{}, error) {
	return nil, a.db.DeadLetterDiscard(ctx, principalOf(ctx).TenantID, in.ID)
}

type redriveRequest struct {
	TimerID       *minoots.ID        `json:"timerId,omitempty" format:"uuid" doc:"Of this timer."`
	Kind          minoots.ActionKind `json:"kind,omitempty" enum:"webhook,agent_prompt,workflow_event,command" doc:"Of this kind of action."`
	ErrorClass    string             `json:"errorClass,omitempty" maxLength:"256" doc:"Whose last attempt ended with this class." example:"timeout"`
	CreatedAfter  *minoots.Instant   `json:"createdAfter,omitempty" doc:"Dead since this instant or later."`
	CreatedBefore *minoots.Instant   `json:"createdBefore,omitempty" doc:"Dead before this instant."`
	All           bool               `json:"all,omitempty" doc:"Needed where there is no filter."`
	DryRun        bool               `json:"dryRun,omitempty" doc:"Count, and change nothing."`
}

func (r *redriveRequest) filter() (f db.DeadLetterFilter, err error) {
	given := r.TimerID != nil || r.Kind != "" || r.ErrorClass != "" || r.CreatedAfter != nil || r.CreatedBefore != nil
	switch {
	case !given && !r.All:
		return f, invalid("redrive", "", "must have a filter (timerId, kind, errorClass, createdAfter, createdBefore), or all: true")
	case given && r.All:
		return f, invalid("redrive", "all", "must not stand beside a filter")
	case r.Kind != "" && !slices.Contains(minoots.ActionKinds, r.Kind):
		return f, invalid("redrive", "kind", "must be one of %v", minoots.ActionKinds)
	}
	if err := checkLengths("redrive", field{"errorClass", &r.ErrorClass}); err != nil {
		return f, err
	}
	f = db.DeadLetterFilter{
		Kind: r.Kind, ErrorClass: r.ErrorClass, CreatedAfter: orZeroTime(r.CreatedAfter), CreatedBefore: orZeroTime(r.CreatedBefore),
		Limit: minoots.MaxRedrive + 1,
	}
	if r.TimerID != nil {
		f.TimerID = *r.TimerID
	}
	return f, nil
}

func orZeroTime(i *minoots.Instant) (t time.Time) {
	if i != nil {
		t = i.Time
	}
	return t
}

type redriveDeadLettersInput struct {
	Request body[redriveRequest]
}

type redriven struct {
	DryRun bool `json:"dryRun"`
	Count  int  `json:"count" doc:"Redriven, or to be redriven."`
	More   bool `json:"more" doc:"There are more than one request redrives: repeat it."`
}

type redriveDeadLettersOutput struct {
	Body redriven
}

func (a *API) redriveDeadLetters(ctx context.Context, in *redriveDeadLettersInput) (*redriveDeadLettersOutput, error) {
	filter, err := in.Request.Value.filter()
	if err != nil {
		return nil, err
	}
	tenant := principalOf(ctx).TenantID
	letters, err := a.db.DeadLetterPage(ctx, tenant, filter)
	if err != nil {
		return nil, err
	}
	out := redriven{DryRun: in.Request.Value.DryRun, More: len(letters) > minoots.MaxRedrive}
	letters = letters[:min(len(letters), minoots.MaxRedrive)]
	if out.Count = len(letters); out.DryRun || out.Count == 0 {
		return &redriveDeadLettersOutput{Body: out}, nil
	}
	ids := make([]minoots.ID, len(letters))
	for i := range letters {
		ids[i] = letters[i].ID
	}
	// Another may have redriven some of them meanwhile: those are not counted.
	made, err := a.db.DeadLetterRedrive(ctx, tenant, ids)
	out.Count = len(made)
	return &redriveDeadLettersOutput{Body: out}, err
}
