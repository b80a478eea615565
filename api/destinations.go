package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

const (
	tagDestinations    = "destinations"
	cursorDestinations = 'd'
)

func (a *API) destinationRoutes() {
	register(a, route{
		ID: "listDestinations", Method: http.MethodGet, Path: "/v1/destinations", Tag: tagDestinations,
		Summary: "List the destinations that are not ordinary",
		Description: "Those whose breaker is not closed, and those with limits, by name. What waits for them spends no " +
			"attempts and loses nothing.",
		Role: minoots.RoleTimerRead,
	}, a.listDestinations)
	register(a, route{
		ID: "setDestinationLimits", Method: http.MethodPut, Path: "/v1/destinations/{destination}/limits", Tag: tagDestinations,
		Summary: "Limit a destination",
		Description: "Bounds what all replicas together send to it for this tenant; what is over waits. Both null takes " +
			"the limits away. Replicas know within two seconds.",
		Role: minoots.RoleTenantAdmin, Example: `{"ratePerSecond": 50, "maxConcurrent": null}`,
	}, a.setDestinationLimits)
	register(a, route{
		ID: "resetDestination", Method: http.MethodPost, Path: "/v1/destinations/{destination}/reset", Tag: tagDestinations,
		Summary: "Try a destination now",
		Description: "Has the deliveries that wait for a failing destination go on, few at first, as if a probe had " +
			"succeeded. If they fail, they wait again. A destination that has not failed is given unchanged.",
		Role: minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
	}, a.resetDestination)
}

type listDestinationsInput struct {
	Paging
	after string
}

// Resolve implements huma.Resolver.
func (in *listDestinationsInput) Resolve(huma.Context) []error {
	place, bad := in.place(cursorDestinations, func(b []byte) bool { return storable(string(b)) })
	in.after = string(place)
	return bad
}

type listDestinationsOutput struct {
	Body list[minoots.Destination]
}

func (a *API) listDestinations(ctx context.Context, in *listDestinationsInput) (*listDestinationsOutput, error) {
	found, err := a.db.DestinationPage(ctx, principalOf(ctx).TenantID, in.after, in.Limit+1)
	return &listDestinationsOutput{Body: pageOf(found, in.Limit, func(d minoots.Destination) string {
		return encodeCursor(cursorDestinations, []byte(d.Destination))
	})}, err
}

// checkDestinationPath reads a destination of a path, and has it as deliveries do.
func checkDestinationPath(name *string) []error {
	parsed, err := minoots.ParseDestination(*name)
	if err == nil && !storable(parsed) {
		err = minoots.Errorf(minoots.CodeInvalid, "must be valid UTF-8 without NUL")
	}
	if err != nil {
		message := err.Error()
		var ours *minoots.Error
		if errors.As(err, &ours) && len(ours.Fields) > 0 {
			message = ours.Fields[0].Message
		}
		return []error{badParam("path", "destination", "%s", message)}
	}
	*name = parsed
	return nil
}

type destinationOutput struct {
	Body minoots.Destination
}

// limitsRequest is the limits from now on: one that is left out is none.
type limitsRequest struct {
	RatePerSecond *float64 `json:"ratePerSecond,omitempty" minimum:"0.001" maximum:"100000" doc:"Attempts that may begin in a second; null for no limit."`
	MaxConcurrent *int     `json:"maxConcurrent,omitempty" minimum:"1" maximum:"10000" doc:"Attempts that may be under way at once; null for no limit."`
}

type setLimitsInput struct {
	Destination string `path:"destination" doc:"Scheme, host and port, percent-encoded: https%3A%2F%2Fexample.com."`
	Limits      body[limitsRequest]
}

// Resolve implements huma.Resolver.
func (in *setLimitsInput) Resolve(huma.Context) []error { return checkDestinationPath(&in.Destination) }

func (a *API) setDestinationLimits(ctx context.Context, in *setLimitsInput) (*destinationOutput, error) {
	limits, tenant := minoots.DestinationLimits(in.Limits.Value), principalOf(ctx).TenantID
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	if err := a.db.DestinationLimit(ctx, tenant, in.Destination, limits); err != nil {
		return nil, err
	}
	now, err := a.db.DestinationGet(ctx, tenant, in.Destination)
	if minoots.ErrorCode(err) == minoots.CodeNotFound {
		// Nothing is known of it any more: it is ordinary.
		now, err = minoots.Destination{Destination: in.Destination, State: minoots.BreakerClosed, Since: minoots.InstantOf(a.db.Clock().Now())}, nil
	}
	return &destinationOutput{Body: now}, err
}

type resetDestinationInput struct {
	Destination string `path:"destination" doc:"Scheme, host and port, percent-encoded: https%3A%2F%2Fexample.com."`
}

// Resolve implements huma.Resolver.
func (in *resetDestinationInput) Resolve(huma.Context) []error {
	return checkDestinationPath(&in.Destination)
}

func (a *API) resetDestination(ctx context.Context, in *resetDestinationInput) (*destinationOutput, error) {
	tenant := principalOf(ctx).TenantID
	if _, err := a.db.DestinationRecover(ctx, tenant, in.Destination); err != nil {
		return nil, err
	}
	now, err := a.db.DestinationGet(ctx, tenant, in.Destination)
	return &destinationOutput{Body: now}, err
}
