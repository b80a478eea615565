package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const bulkTold = "\n\nAll that the `filter` describes and that can change so are meant; an empty filter needs `all: true`. " +
	"With `dryRun` they are counted, up to a million, and left as they are. Up to 100,000 are changed at a time, in " +
	"the order of their ids, a few thousand in one transaction each. A call looks for them for some eight seconds and changes " +
	"them for twenty, and may end with less, even none: while `nextCursor` is not null, send it as `cursor` for the rest. A timer that fires, or is changed by somebody else, in the meantime is `skipped`."

func (a *API) timerBulkRoutes() {
	register(a, route{
		ID: "cancelTimers", Method: http.MethodPost, Path: "/v1/timers/cancel", Tag: tagTimers,
		Summary: "Cancel many timers", Description: "Scheduled and paused ones." + bulkTold,
		Role: minoots.RoleTimerCancel, Example: `{"filter": {"labels": {"session": "s-17"}}, "reason": "the session ended", "dryRun": true}`,
	}, a.cancelTimers)
	register(a, route{
		ID: "pauseTimers", Method: http.MethodPost, Path: "/v1/timers/pause", Tag: tagTimers,
		Summary: "Pause many timers", Description: "Scheduled ones." + bulkTold,
		Role: minoots.RoleTimerWrite, Example: `{"filter": {"requestedBy": "agent:planner"}}`,
	}, a.pauseTimers)
	register(a, route{
		ID: "resumeTimers", Method: http.MethodPost, Path: "/v1/timers/resume", Tag: tagTimers,
		Summary: "Resume many timers", Description: "Paused ones, by the `policy` of a resume of one." + bulkTold,
		Role: minoots.RoleTimerWrite, Example: `{"filter": {"requestedBy": "agent:planner"}, "policy": "shift"}`,
	}, a.resumeTimers)
	register(a, route{
		ID: "rescheduleTimers", Method: http.MethodPost, Path: "/v1/timers/reschedule", Tag: tagTimers,
		Summary: "Move many timers",
		Description: "Scheduled and paused one-shot timers: all to `fireAt`, or each by `delay`, which moves them earlier " +
			"if it is negative. None is moved into the past: it is due now." + bulkTold +
			" A repeat with `delay` moves them again: after a lost answer, go on at the last `cursor` that was answered.",
		Role: minoots.RoleTimerWrite, Example: `{"filter": {"namePrefix": "digest-"}, "delay": "-30m"}`,
	}, a.rescheduleTimers)
}

// bulkFilter is a filter of lists, as a body has it.
type bulkFilter struct {
	Status      []minoots.Status  `json:"status,omitempty" maxItems:"6" doc:"Any of these. Defaults to all that can change so."`
	Labels      map[string]string `json:"labels,omitempty" doc:"Timers that have them all."`
	Name        *string           `json:"name,omitempty" minLength:"1" doc:"The whole name."`
	NamePrefix  *string           `json:"namePrefix,omitempty" minLength:"1" doc:"What the name begins with, in the same case."`
	RequestedBy *string           `json:"requestedBy,omitempty" minLength:"1" doc:"The whole requestedBy."`
	DueAfter    *minoots.Instant  `json:"dueAfter,omitempty" doc:"Due at this instant or later."`
	DueBefore   *minoots.Instant  `json:"dueBefore,omitempty" doc:"Due before this instant."`
}

// bulkScope is what all changes of many have in common. Each request repeats the
// fields, because the decoder takes no embedded ones.
type bulkScope struct {
	Filter bulkFilter `json:"filter,omitempty" doc:"Which timers."`
	All    bool       `json:"all,omitempty" doc:"All timers of the tenant are meant; then there is no filter."`
	DryRun bool       `json:"dryRun,omitempty" doc:"Only count."`
	Limit  int        `json:"limit,omitempty" minimum:"1" maximum:"100000" default:"100000" doc:"How many to change at most."`
	Cursor string     `json:"cursor,omitempty" maxLength:"512" doc:"The nextCursor of the call before."`
}

type bulkResult struct {
	Matched    int     `json:"matched" doc:"Timers that were meant and could change when the call began; with dryRun, a million at most."`
	Changed    int     `json:"changed" doc:"Of them, changed. 0 with dryRun."`
	Skipped    int     `json:"skipped" doc:"Of them, not changed, because they fired or were changed meanwhile."`
	DryRun     bool    `json:"dryRun"`
	More       bool    `json:"more" doc:"There are, or may be, more than matched."`
	NextCursor *string `json:"nextCursor" doc:"Send it as cursor for the rest; null if there is none."`
}

type bulkOutput struct{ Body bulkResult }

// bulk checks what is meant, and counts or changes it.
func (a *API) bulk(ctx context.Context, in *bulkScope, change *db.BulkChange) (*bulkOutput, error) {
	filter, err := in.filter(change)
	if err != nil {
		return nil, err
	}
	tenant := principalOf(ctx).TenantID
	if in.DryRun {
		n, more, err := a.db.TimerBulkCount(ctx, tenant, change, filter)
		return &bulkOutput{bulkResult{Matched: n, DryRun: true, More: more}}, err
	}
	req := db.BulkRequest{Filter: filter, Limit: in.Limit}
	if req.Limit == 0 {
		req.Limit = db.BulkMost
	}
	if in.Cursor != "" {
		place, _ := decodeCursor(cursorBulk, timerMark(filter), in.Cursor) // in.filter has looked at it
		copy(req.After[:], place)
	}
	done, err := a.db.TimerBulk(ctx, tenant, change, req)
	if a.hinter != nil {
		for _, at := range done.DueAt {
			a.hinter.Hint(at)
		}
	}
	if err != nil {
		return nil, err
	}
	out := bulkResult{Matched: done.Matched, Changed: done.Changed, Skipped: done.Matched - done.Changed}
	if done.Next != (minoots.ID{}) {
		next := encodeMarked(cursorBulk, timerMark(filter), done.Next[:])
		out.More, out.NextCursor = true, &next
	}
	return &bulkOutput{out}, nil
}

// filter gives the filter, or all that is wrong with the scope.
func (in *bulkScope) filter(change *db.BulkChange) (db.TimerFilter, error) {
	f := db.TimerFilter{
		Statuses: in.Filter.Status, Labels: in.Filter.Labels,
		Name: deref(in.Filter.Name), NamePrefix: deref(in.Filter.NamePrefix), RequestedBy: deref(in.Filter.RequestedBy),
	}
	if in.Filter.DueAfter != nil {
		f.DueAfter = in.Filter.DueAfter.Time
	}
	if in.Filter.DueBefore != nil {
		f.DueBefore = in.Filter.DueBefore.Time
	}
	bad := &minoots.Error{Code: minoots.CodeInvalid, Message: "the request does not validate"}
	mistake := func(wrong bool, path, format string, args ...any) {
		if wrong {
			bad.Fields = append(bad.Fields, fieldError(path, format, args...))
		}
	}
	empty := in.Filter.Status == nil && len(f.Labels) == 0 &&
		in.Filter.Name == nil && in.Filter.NamePrefix == nil && in.Filter.RequestedBy == nil &&
		f.DueAfter.IsZero() && f.DueBefore.IsZero()
	mistake(empty && !in.All, "filter", "is empty, which would mean every timer: say so with all: true, or want one of %s", bulkFilters)
	mistake(!empty && in.All, "all", "must not stand beside a filter: leave one of them out")
	for _, text := range []field{{"name", in.Filter.Name}, {"namePrefix", in.Filter.NamePrefix}, {"requestedBy", in.Filter.RequestedBy}} {
		mistake(text.text != nil && *text.text == "", "filter."+text.path, "is empty, which no filter finds: leave it out, or want at least one character")
	}
	mistake(in.Filter.Status != nil && len(f.Statuses) == 0, "filter.status", "is empty, which no filter finds: leave it out, or want at least one status")
	may := change.Statuses()
	for i, s := range f.Statuses {
		mistake(!slices.Contains(may, s), at("filter.status", i), "cannot change so: want among %v", may)
	}
	mistake(f.Name != "" && f.NamePrefix != "", "filter.namePrefix", "must not stand beside name: want one of them")
	mistake(len(f.Labels) > minoots.MaxLabels, "filter.labels", "must be at most %d", minoots.MaxLabels)
	mistake(f.EmptyRange(), "filter.dueBefore", "must be after dueAfter")
	mistake(in.Limit < 0 || in.Limit > db.BulkMost, "limit", "must be from 1 to %d", db.BulkMost)
	if in.Cursor != "" {
		place, err := decodeCursor(cursorBulk, timerMark(f), in.Cursor)
		mistake(errors.Is(err, errCursorFilters), "cursor", "%s", errCursorFilters)
		mistake(!errors.Is(err, errCursorFilters) && !isID(place), "cursor", "must be the nextCursor of a call like this one")
		mistake(in.DryRun, "cursor", "has no meaning beside dryRun, which counts all")
	}
	if bad.Fields == nil {
		return f, nil
	}
	return f, bad
}

// deref gives a text that may have been left out.
func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

const bulkFilters = "status, labels, name, namePrefix, requestedBy, dueAfter, dueBefore"

type cancelTimersRequest struct {
	Filter      bulkFilter `json:"filter,omitempty" doc:"Which timers."`
	All         bool       `json:"all,omitempty" doc:"All timers of the tenant are meant; then there is no filter."`
	DryRun      bool       `json:"dryRun,omitempty" doc:"Only count."`
	Limit       int        `json:"limit,omitempty" minimum:"1" maximum:"100000" default:"100000" doc:"How many to change at most."`
	Cursor      string     `json:"cursor,omitempty" maxLength:"512" doc:"The nextCursor of the call before."`
	Reason      *string    `json:"reason,omitempty" maxLength:"256" doc:"Kept with each timer."`
	RequestedBy *string    `json:"requestedBy,omitempty" maxLength:"256" doc:"Who asked, in the caller's own terms."`
}

type cancelTimersInput struct{ Request body[cancelTimersRequest] }

func (a *API) cancelTimers(ctx context.Context, in *cancelTimersInput) (*bulkOutput, error) {
	asked := &in.Request.Value
	if err := checkLengths("cancel", field{"reason", asked.Reason}, field{"requestedBy", asked.RequestedBy}); err != nil {
		return nil, err
	}
	return a.bulk(ctx, &bulkScope{asked.Filter, asked.All, asked.DryRun, asked.Limit, asked.Cursor}, db.BulkCancel(asked.Reason, asked.RequestedBy))
}

type pauseTimersInput struct{ Request body[bulkScope] }

func (a *API) pauseTimers(ctx context.Context, in *pauseTimersInput) (*bulkOutput, error) {
	return a.bulk(ctx, &in.Request.Value, db.BulkPause())
}

type resumeTimersRequest struct {
	Filter bulkFilter           `json:"filter,omitempty" doc:"Which timers."`
	All    bool                 `json:"all,omitempty" doc:"All timers of the tenant are meant; then there is no filter."`
	DryRun bool                 `json:"dryRun,omitempty" doc:"Only count."`
	Limit  int                  `json:"limit,omitempty" minimum:"1" maximum:"100000" default:"100000" doc:"How many to change at most."`
	Cursor string               `json:"cursor,omitempty" maxLength:"512" doc:"The nextCursor of the call before."`
	Policy minoots.ResumePolicy `json:"policy,omitempty" enum:"shift,fire,skip" default:"shift" doc:"What becomes of the instant at which each is due."`
}

type resumeTimersInput struct{ Request body[resumeTimersRequest] }

func (a *API) resumeTimers(ctx context.Context, in *resumeTimersInput) (*bulkOutput, error) {
	asked := &in.Request.Value
	policy, err := resumePolicy(asked.Policy)
	if err != nil {
		return nil, err
	}
	return a.bulk(ctx, &bulkScope{asked.Filter, asked.All, asked.DryRun, asked.Limit, asked.Cursor}, db.BulkResume(policy))
}

type rescheduleTimersRequest struct {
	Filter bulkFilter        `json:"filter,omitempty" doc:"Which timers."`
	All    bool              `json:"all,omitempty" doc:"All timers of the tenant are meant; then there is no filter."`
	DryRun bool              `json:"dryRun,omitempty" doc:"Only count."`
	Limit  int               `json:"limit,omitempty" minimum:"1" maximum:"100000" default:"100000" doc:"How many to change at most."`
	Cursor string            `json:"cursor,omitempty" maxLength:"512" doc:"The nextCursor of the call before."`
	FireAt *minoots.Instant  `json:"fireAt,omitempty" doc:"All are due at this instant."`
	Delay  *minoots.Duration `json:"delay,omitempty" doc:"Each is due this much later; earlier if it is negative." example:"-30m"`
}

type rescheduleTimersInput struct{ Request body[rescheduleTimersRequest] }

func (a *API) rescheduleTimers(ctx context.Context, in *rescheduleTimersInput) (*bulkOutput, error) {
	asked := &in.Request.Value
	switch horizon := minoots.Duration(minoots.MaxHorizon); {
	case (asked.FireAt == nil) == (asked.Delay == nil):
		return nil, invalid("reschedule", "", "must have exactly one of fireAt and delay")
	case asked.Delay != nil && (*asked.Delay > horizon || *asked.Delay < -horizon || time.Duration(*asked.Delay).Abs() < time.Millisecond):
		return nil, invalid("reschedule", "delay", "must be at least 1ms and at most %s (100 years), either way", horizon)
	case asked.FireAt != nil:
		if err := checkFireAt("reschedule", asked.FireAt, a.db.Clock().Now()); err != nil {
			return nil, err
		}
	}
	return a.bulk(ctx, &bulkScope{asked.Filter, asked.All, asked.DryRun, asked.Limit, asked.Cursor}, db.BulkReschedule(asked.FireAt, asked.Delay))
}

func fieldError(path, format string, args ...any) minoots.FieldError {
	return minoots.FieldError{Path: path, Message: fmt.Sprintf(format, args...)}
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
