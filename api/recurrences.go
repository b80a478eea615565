package api

import (
	"context"
	"net/http"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

const tagRecurrences = "recurrences"

func (a *API) recurrenceRoutes() {
	register(a, route{
		ID: "previewRecurrence", Method: http.MethodPost, Path: "/v1/recurrences/preview", Tag: tagRecurrences,
		Summary: "See when a recurrence is due",
		Description: "The next instants, in UTC and on the zone's clocks, with a note where the clocks change. " +
			"Nothing is created.",
		Role:    minoots.RoleTimerRead,
		Example: `{"recurrence": {"cron": "0 9 * * MON-FRI", "timeZone": "Europe/Paris"}, "count": 5}`,
	}, a.previewRecurrence)
}

type previewInput struct {
	Request body[minoots.RecurrencePreviewRequest]
}

type previewOutput struct {
	Body minoots.RecurrencePreview
}

func (a *API) previewRecurrence(_ context.Context, in *previewInput) (*previewOutput, error) {
	preview, err := cron.Preview(in.Request.Value, a.db.Clock().Now())
	if err != nil {
		return nil, err
	}
	return &previewOutput{Body: preview}, nil
}
