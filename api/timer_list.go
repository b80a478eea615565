package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func (a *API) timerListRoutes() {
	register(a, route{
		ID: "listTimers", Method: http.MethodGet, Path: "/v1/timers", Tag: tagTimers,
		Summary: "List timers",
		Description: "By due time, the earliest first. Filters narrow each other down, for example " +
			"`?status=scheduled,paused&label=session:s-17&dueBefore=2026-12-01T00:00:00Z`.",
		Role: minoots.RoleTimerRead,
	}, a.listTimers)
}

type listTimersInput struct {
	Paging
	Status      []string        `query:"status,explode" enum:"scheduled,paused,fired,settled,failed,cancelled" doc:"Repeat it, or separate with commas, for any of several."`
	Label       []string        `query:"label,explode" doc:"A label as key:value; repeat it for timers that have them all." example:"session:s-17"`
	Name        string          `query:"name" doc:"The whole name."`
	NamePrefix  string          `query:"namePrefix" doc:"What the name begins with, in the same case."`
	RequestedBy string          `query:"requestedBy" doc:"The whole requestedBy."`
	DueAfter    minoots.Instant `query:"dueAfter" format:"date-time" doc:"Due at this instant or later."`
	DueBefore   minoots.Instant `query:"dueBefore" format:"date-time" doc:"Due before this instant."`
	request     db.TimerPageRequest
}

// Resolve implements huma.Resolver: it makes the filter.
func (in *listTimersInput) Resolve(huma.Context) []error {
	var bad []error
	in.request = db.TimerPageRequest{
		TimerFilter: db.TimerFilter{
			Name: in.Name, NamePrefix: in.NamePrefix, RequestedBy: in.RequestedBy,
			DueAfter: in.DueAfter.Time, DueBefore: in.DueBefore.Time,
		},
		Limit: in.Limit + 1,
	}
	if in.Name != "" && in.NamePrefix != "" {
		bad = append(bad, badParam("query", "namePrefix", "must not stand beside name: want one of them"))
	}
	if in.request.EmptyRange() {
		bad = append(bad, badParam("query", "dueBefore", "must be after dueAfter"))
	}
	for _, list := range in.Status {
		for _, word := range strings.Split(list, ",") {
			status := minoots.Status(word)
			if !slices.Contains(minoots.Statuses, status) && status != minoots.StatusArmed {
				return append(bad, badParam("query", "status", "must be among %v", minoots.Statuses))
			}
			in.request.Statuses = append(in.request.Statuses, status)
		}
	}
	bad = append(bad, in.labels()...)
	place, wrong := in.placeAmong(cursorTimers, timerMark(in.request.TimerFilter), validTimerPlace)
	in.request.After = timerPosition(place)
	return append(bad, wrong...)
}

func (in *listTimersInput) labels() []error {
	if len(in.Label) > minoots.MaxLabels {
		return []error{badParam("query", "label", "must be at most %d", minoots.MaxLabels)}
	}
	in.request.Labels = make(map[string]string, len(in.Label))
	for _, label := range in.Label {
		key, value, ok := strings.Cut(label, ":")
		_, twice := in.request.Labels[key]
		switch {
		case !ok || key == "":
			return []error{badParam("query", "label", "must be key:value")}
		case twice:
			return []error{badParam("query", "label", "must not name a key twice: a timer has one value of each")}
		case utf8.RuneCountInString(key) > minoots.MaxLabelKey || utf8.RuneCountInString(value) > minoots.MaxLabelValue:
			return []error{badParam("query", "label", "must be a key of at most %d and a value of at most %d characters",
				minoots.MaxLabelKey, minoots.MaxLabelValue)}
		}
		in.request.Labels[key] = value
	}
	return nil
}

type listTimersOutput struct {
	Body list[minoots.Timer]
}

func (a *API) listTimers(ctx context.Context, in *listTimersInput) (*listTimersOutput, error) {
	timers, err := a.db.TimerPage(ctx, principalOf(ctx).TenantID, in.request)
	if err != nil {
		return nil, err
	}
	return &listTimersOutput{Body: pageOf(timers, in.Limit, timerCursor(in.request.TimerFilter))}, nil
}
