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
	"github.com/minoots/minoots/internal/jsonwrite"
)

// maxBatchBytes gives each of 10,000 timers 3 KiB, five times what one with a
// webhook takes.
const maxBatchBytes = 32 << 20

func (a *API) batchRoutes() {
	register(a, route{
		ID: "createTimers", Method: http.MethodPost, Path: "/v1/timers/batch", Tag: tagTimers,
		Summary: "Create many timers",
		Description: "All or none, up to 10,000 in one transaction, and answered in the same order. A mistake names " +
			"the timer, as in `timers[17].duration`.\n\nWith `idempotencyKeys`, one for each timer, a repeat gives those that had " +
			"been created as they stand now, and creates the rest. A key that was used for another timer is a conflict, " +
			"and then nothing is created. There is no `Idempotency-Key` header here.",
		Role: minoots.RoleTimerWrite, Status: http.StatusCreated, Errors: []int{http.StatusConflict}, MaxBody: maxBatchBytes,
		Example: `{"timers": [{"name": "first", "duration": "1h"}, {"name": "second", "duration": "2h"}]}`,
	}, a.createTimers)
}

// batchRequest is read under the limits of its tags: see jsonguard.
type batchRequest struct {
	Timers          []minoots.TimerSpec `json:"timers" minItems:"1" maxItems:"10000" maxBytes:"262144" doc:"What to create."`
	IdempotencyKeys []string            `json:"idempotencyKeys,omitempty" maxItems:"10000" doc:"One for each timer, 1 to 255 visible ASCII characters."`
}

type createTimersInput struct {
	Batch body[batchRequest]
}

// Resolve implements huma.Resolver. A key that were ignored would be worse than
// one that is refused: its sender would try again, and have all timers twice.
func (in *createTimersInput) Resolve(ctx huma.Context) []error {
	if ctx.Header(idempotencyHeader) != "" {
		return []error{badParam("header", idempotencyHeader, "is not heeded for a batch: send idempotencyKeys, one for each timer")}
	}
	return nil
}

type createTimersOutput struct {
	Body createdTimers
}

type createdTimers struct {
	Timers   []minoots.Timer `json:"timers" doc:"In the order of the request."`
	Replayed int             `json:"replayed" doc:"Of them, those that their keys had created before."`
}

var specEncoder = jsonwrite.New[minoots.TimerSpec]()

func (a *API) createTimers(ctx context.Context, in *createTimersInput) (*createTimersOutput, error) {
	specs, keys := in.Batch.Value.Timers, in.Batch.Value.IdempotencyKeys
	if err := checkBatchKeys(keys, len(specs)); err != nil {
		return nil, err
	}
	timers := make([]db.NewTimer, len(specs))
	for i := range keys { // before the defaults are written out, which may change some day
		asked, err := specEncoder.Append(nil, &specs[i])
		if err != nil {
			return nil, err
		}
		timers[i].IdempotencyKey, timers[i].Fingerprint = keys[i], fingerprint(asked)
	}
	if err := a.validateAll(ctx, specs); err != nil {
		return nil, err
	}
	for i := range specs {
		timers[i].ID, timers[i].TenantID, timers[i].Spec = minoots.NewID(), principalOf(ctx).TenantID, specs[i]
	}
	created, err := a.db.TimerCreateAll(ctx, timers)
	if err != nil {
		return nil, err
	}
	a.hint(created...)
	a.warnOfHerds(ctx, principalOf(ctx).TenantID, created)
	out := &createTimersOutput{Body: createdTimers{Timers: make([]minoots.Timer, len(created))}}
	for i := range created {
		out.Body.Timers[i] = created[i].Timer
		if created[i].Replayed {
			out.Body.Replayed++
		}
	}
	return out, nil
}

// checkBatchKeys refuses keys that are not one for each timer, each its own.
func checkBatchKeys(keys []string, timers int) error {
	if len(keys) == 0 {
		return nil
	}
	if len(keys) != timers {
		return invalid("the batch", "idempotencyKeys", "must be as many as there are timers: %d, not %d", timers, len(keys))
	}
	first := make(map[string]int, len(keys))
	for i, key := range keys {
		before, twice := first[key]
		switch {
		case !validIdempotencyKey(key):
			return invalid("the batch", at("idempotencyKeys", i), "must be 1 to %d visible ASCII characters", maxIdempotencyKey)
		case twice:
			return invalid("the batch", at("idempotencyKeys", i), "must not be that of another timer: idempotencyKeys[%d] is the same", before)
		}
		first[key] = i
	}
	return nil
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
