package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// maxBatchBytes gives each of 10,000 timers 3 KiB, five times what one with a
// webhook takes.
const maxBatchBytes = 32 << 20

func (a *API) batchRoutes() {
	register(a, route{
		ID: "createTimers", Method: http.MethodPost, Path: "/v1/timers/batch", Tag: tagTimers,
		Summary: "Create many timers",
		Description: "All or none, up to 10,000 in one transaction, and answered in the same order. A mistake names " +
			"the timer, as in `timers[17].duration`. There is no `Idempotency-Key` here.",
		Role: minoots.RoleTimerWrite, Status: http.StatusCreated, MaxBody: maxBatchBytes,
		Example: `{"timers": [{"name": "first", "duration": "1h"}, {"name": "second", "duration": "2h"}]}`,
	}, a.createTimers)
}

// batchRequest is read under the limits of its tags: see jsonguard.
type batchRequest struct {
	Timers []minoots.TimerSpec `json:"timers" minItems:"1" maxItems:"10000" maxBytes:"262144" doc:"What to create."`
}

type createTimersInput struct {
	Batch body[batchRequest]
}

// Resolve implements huma.Resolver. A key that were ignored would be worse than
// one that is refused: its sender would try again, and have all timers twice.
func (in *createTimersInput) Resolve(ctx huma.Context) []error {
	if ctx.Header(idempotencyHeader) != "" {
		return []error{badParam("header", idempotencyHeader, "is not heeded for a batch; leave it out")}
	}
	return nil
}

type createTimersOutput struct {
	Body createdTimers
}

type createdTimers struct {
	Timers []minoots.Timer `json:"timers" doc:"In the order of the request."`
}

func (a *API) createTimers(ctx context.Context, in *createTimersInput) (*createTimersOutput, error) {
	specs := in.Batch.Value.Timers
	if err := a.validateAll(ctx, specs); err != nil {
		return nil, err
	}
	timers := make([]db.NewTimer, len(specs))
	for i := range specs {
		timers[i] = db.NewTimer{ID: minoots.NewID(), TenantID: principalOf(ctx).TenantID, Spec: specs[i]}
	}
	created, err := a.db.TimerCreate(ctx, timers)
	if err != nil {
		return nil, err
	}
	a.hint(created...)
	a.warnOfHerds(ctx, principalOf(ctx).TenantID, created)
	out := &createTimersOutput{Body: createdTimers{Timers: make([]minoots.Timer, len(created))}}
	for i := range created {
		out.Body.Timers[i] = created[i].Timer
	}
	return out, nil
}

// maxBatchErrors bounds the list of mistakes of a batch that is wrong throughout.
const maxBatchErrors = 100

// validateAll checks every timer and reports the mistakes of all, with the index
// before each path.
func (a *API) validateAll(ctx context.Context, specs []minoots.TimerSpec) error {
	if len(specs) == 0 {
		return &minoots.Error{Code: minoots.CodeInvalid, Message: "the batch does not validate",
			Fields: []minoots.FieldError{{Path: "timers", Message: "must have at least one timer"}}}
	}
	var bad []minoots.FieldError
	for i := range specs {
		err := a.validate(ctx, &specs[i])
		var own *minoots.Error
		if !errors.As(err, &own) {
			continue
		}
		at := fmt.Sprintf("timers[%d]", i)
		if own.Code != minoots.CodeInvalid {
			return minoots.Errorf(own.Code, "%s.%s", at, own.Message)
		}
		for _, f := range own.Fields {
			bad = append(bad, minoots.FieldError{Path: strings.TrimSuffix(at+"."+f.Path, "."), Message: f.Message})
		}
		if len(bad) >= maxBatchErrors {
			break
		}
	}
	if bad == nil {
		return nil
	}
	return &minoots.Error{Code: minoots.CodeInvalid, Message: "the batch does not validate", Fields: bad}
}
