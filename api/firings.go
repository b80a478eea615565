package api

import (
	"context"
	"encoding/binary"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

const tagFirings = "firings"

func (a *API) firingRoutes() {
	register(a, route{
		ID: "listFirings", Method: http.MethodGet, Path: "/v1/timers/{id}/firings", Tag: tagFirings,
		Summary:     "List a timer's firings",
		Description: "Each with its attempts, the first firing first. A timer that has not fired has none.",
		Role:        minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
	}, a.listFirings)
	register(a, route{
		ID: "getFiring", Method: http.MethodGet, Path: "/v1/timers/{id}/firings/{occurrence}", Tag: tagFirings,
		Summary:     "Get a firing",
		Description: "With its attempts. Occurrence 1 is the first.",
		Role:        minoots.RoleTimerRead, Errors: []int{http.StatusNotFound},
	}, a.getFiring)
}

type listFiringsInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Paging
	after int
}

// Resolve implements huma.Resolver.
func (in *listFiringsInput) Resolve(huma.Context) []error {
	place, bad := in.place(cursorFirings, func(b []byte) bool { return len(b) == 4 && b[0] < 0x80 })
	if place != nil {
		in.after = int(binary.BigEndian.Uint32(place))
	}
	return bad
}

func firingCursor(f minoots.Firing) string {
	return encodeCursor(cursorFirings, binary.BigEndian.AppendUint32(nil, uint32(f.Occurrence)))
}

type listFiringsOutput struct {
	Body list[minoots.Firing]
}

func (a *API) listFirings(ctx context.Context, in *listFiringsInput) (*listFiringsOutput, error) {
	tenant := principalOf(ctx).TenantID
	firings, err := a.db.FiringPage(ctx, tenant, in.ID, in.after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	if len(firings) == 0 { // has the timer none, or is there no timer?
		if _, err := a.db.TimerGet(ctx, tenant, in.ID); err != nil {
			return nil, err
		}
	}
	return &listFiringsOutput{Body: pageOf(firings, in.Limit, firingCursor)}, nil
}

type getFiringInput struct {
	ID         minoots.ID `path:"id" format:"uuid" doc:"The timer's id."`
	Occurrence int        `path:"occurrence" minimum:"1" maximum:"2147483647" doc:"1 for the first."`
}

// Resolve implements huma.Resolver.
func (in *getFiringInput) Resolve(huma.Context) []error {
	if in.Occurrence < 1 || in.Occurrence > math.MaxInt32 {
		return []error{badParam("path", "occurrence", "must be from 1 to %d", math.MaxInt32)}
	}
	return nil
}

type getFiringOutput struct {
	Body minoots.Firing
}

func (a *API) getFiring(ctx context.Context, in *getFiringInput) (*getFiringOutput, error) {
	firing, err := a.db.FiringGet(ctx, principalOf(ctx).TenantID, in.ID, in.Occurrence)
	return &getFiringOutput{Body: firing}, err
}
