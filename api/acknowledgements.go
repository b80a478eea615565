package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	tagAcknowledgements = "acknowledgements"
	acksPath            = "/v1/acks/"

	maxResult   = minoots.MaxResponseCapture // bytes of JSON
	maxWords    = 1024                       // characters of an error or a progress
	maxAckBody  = 64 << 10
	leastExtend = time.Second
)

// Follower makes jobs of what follows an acknowledgement.
type Follower interface {
	Plan(ctx context.Context, deliveries []minoots.Delivery) (*db.JobBatch, error)
}

func (a *API) acknowledgementRoutes() {
	const open = "The token is the credential: it came with the delivery, and a key is neither needed nor looked at."
	register(a, route{
		ID: "acknowledge", Method: http.MethodPost, Path: acksPath + "{token}", Tag: tagAcknowledgements,
		Summary: "Acknowledge a delivery",
		Description: "An agent says, once, what became of what it was woken for: it succeeded, or it failed, which is a " +
			"failed attempt. What comes next in the bundle begins then. " + open,
		Errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
		MaxBody: maxAckBody, Example: `{"status": "succeeded", "result": {"pages": 12}}`,
	}, a.acknowledge)
	register(a, route{
		ID: "extendAcknowledgement", Method: http.MethodPost, Path: acksPath + "{token}/heartbeat", Tag: tagAcknowledgements,
		Summary: "Ask for more time",
		Description: "An agent that is still at it says so, and how far it is. The time never gets shorter, and not longer " +
			"than a day after the delivery, or its timeout if that is more. " + open,
		Errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
		MaxBody: maxAckBody, Example: `{"extendMs": 60000, "progress": "page 3 of 12"}`,
	}, a.extendAcknowledgement)
}

// loggedPath is a path without the token that it may hold.
func loggedPath(path string) string {
	rest, is := strings.CutPrefix(path, acksPath)
	if !is {
		return path
	}
	if _, after, more := strings.Cut(rest, "/"); more {
		return acksPath + "…/" + after
	}
	return acksPath + "…"
}

type acknowledgeRequest struct {
	Status minoots.AcknowledgementStatus `json:"status,omitempty" enum:"succeeded,failed" doc:"Default succeeded."`
	Result json.RawMessage               `json:"result,omitempty" doc:"Any JSON, up to 4096 bytes. It is in the event action.acknowledged, and is the attempt's response."`
	Error  string                        `json:"error,omitempty" maxLength:"1024" doc:"Why it failed."`
	Retry  *bool                         `json:"retry,omitempty" doc:"After a failure: may another attempt help? Default true."`
}

type acknowledgeInput struct {
	Token   string `path:"token" doc:"As it came with the delivery."`
	Request optionalBody[acknowledgeRequest]
}

type acknowledgeOutput struct {
	Body minoots.AcknowledgementReceipt
}

func (a *API) acknowledge(ctx context.Context, in *acknowledgeInput) (*acknowledgeOutput, error) {
	asked := &in.Request.Value
	given, err := asked.read()
	if err != nil {
		return nil, err
	}
	if !minoots.IsAcknowledgementToken(in.Token) {
		return nil, errNoToken()
	}
	if a.follow == nil || a.judge == nil {
		return nil, minoots.Errorf(minoots.CodeUnavailable, "this replica takes no acknowledgements")
	}
	receipt, err := a.db.AcknowledgementRecord(ctx, in.Token, given, a.judge, func(ctx context.Context, _ db.Tx, next []minoots.Delivery) (*db.JobBatch, error) {
		return a.follow.Plan(ctx, next)
	})
	if err != nil {
		return nil, goneIfOver(err)
	}
	a.metrics.acknowledged.WithLabelValues(string(receipt.Status)).Inc()
	return &acknowledgeOutput{Body: receipt}, nil
}

// read checks what an agent says.
func (r *acknowledgeRequest) read() (db.AcknowledgementGiven, error) {
	given := db.AcknowledgementGiven{Status: r.Status, Result: r.Result, Error: r.Error, Retry: r.Retry == nil || *r.Retry}
	var bad []minoots.FieldError
	say := func(path, format string, args ...any) {
		bad = append(bad, minoots.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch r.Status {
	case "":
		given.Status = minoots.AcknowledgementSucceeded
	case minoots.AcknowledgementSucceeded, minoots.AcknowledgementFailed:
	default:
		say("status", "must be succeeded or failed")
	}
	if len(r.Result) > maxResult {
		say("result", "must be at most %d bytes of JSON; put what is larger where its reader finds it, and say where", maxResult)
	}
	if utf8.RuneCountInString(r.Error) > maxWords {
		say("error", "must be at most %d characters", maxWords)
	}
	if given.Status == minoots.AcknowledgementSucceeded {
		if r.Error != "" {
			say("error", "is for the status failed")
		}
		if r.Retry != nil {
			say("retry", "is for the status failed")
		}
	} else if given.Error == "" {
		given.Error = "the agent says that it failed"
	}
	return given, invalidAcknowledgement(bad)
}

func invalidAcknowledgement(bad []minoots.FieldError) error {
	if len(bad) == 0 {
		return nil
	}
	return &minoots.Error{Code: minoots.CodeInvalid, Message: "the acknowledgement does not validate", Fields: bad}
}

type extendRequest struct {
	ExtendMs int64  `json:"extendMs,omitempty" minimum:"1000" maximum:"604800000" doc:"How long from now on. Default: the binding's acknowledgementTimeoutMs."`
	Progress string `json:"progress,omitempty" maxLength:"1024" doc:"For people: it is in the timer's firings until the delivery is acknowledged."`
}

type extendInput struct {
	Token   string `path:"token" doc:"As it came with the delivery."`
	Request optionalBody[extendRequest]
}

type extendOutput struct {
	Body minoots.Heartbeat
}

func (a *API) extendAcknowledgement(ctx context.Context, in *extendInput) (*extendOutput, error) {
	asked := in.Request.Value
	var bad []minoots.FieldError
	by := time.Duration(asked.ExtendMs) * time.Millisecond
	if asked.ExtendMs != 0 && (asked.ExtendMs < leastExtend.Milliseconds() || asked.ExtendMs > 604_800_000) {
		bad = append(bad, minoots.FieldError{Path: "extendMs", Message: "must be from 1000 to 604800000 (a week)"})
	}
	if utf8.RuneCountInString(asked.Progress) > maxWords {
		bad = append(bad, minoots.FieldError{Path: "progress", Message: fmt.Sprintf("must be at most %d characters", maxWords)})
	}
	if err := invalidAcknowledgement(bad); err != nil {
		return nil, err
	}
	if !minoots.IsAcknowledgementToken(in.Token) {
		return nil, errNoToken()
	}
	heartbeat, err := a.db.AcknowledgementExtend(ctx, in.Token, by, asked.Progress)
	if err != nil {
		return nil, goneIfOver(err)
	}
	return &extendOutput{Body: heartbeat}, nil
}

func errNoToken() error {
	return minoots.Errorf(minoots.CodeNotFound, "no delivery has this token")
}

// goneIfOver answers 410 where an acknowledgement can never be had any more.
func goneIfOver(err error) error {
	var told *minoots.Error
	if errors.Is(err, db.ErrExpired) && errors.As(err, &told) {
		return statusError{told, http.StatusGone}
	}
	return err
}
