package api

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"
	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/minoots/minoots"
)

// grpcCodes is the one table of what each code is over gRPC.
var grpcCodes = map[minoots.Code]connect.Code{
	minoots.CodeInvalid:         connect.CodeInvalidArgument,
	minoots.CodeUnauthenticated: connect.CodeUnauthenticated,
	minoots.CodeForbidden:       connect.CodePermissionDenied,
	minoots.CodeNotFound:        connect.CodeNotFound,
	minoots.CodeConflict:        connect.CodeFailedPrecondition,
	minoots.CodeStale:           connect.CodeAborted,
	minoots.CodeTooLarge:        connect.CodeResourceExhausted,
	minoots.CodeRateLimited:     connect.CodeResourceExhausted,
	minoots.CodeGone:            connect.CodeOutOfRange,
	minoots.CodeUnavailable:     connect.CodeUnavailable,
	minoots.CodeInternal:        connect.CodeInternal,
}

// grpcFields are the fields that have another name here than in REST. Where the
// field holds JSON, what is below it follows: action_bundle_json.actions[0].id.
var grpcFields = map[string]string{
	"tenantId": "tenant_id", "requestedBy": "requested_by", "duration": "duration_ms", "fireAt": "fire_time_iso",
	"recurrence": "recurrence_json", "actionBundle": "action_bundle_json", "metadata": "metadata_json",
	"agentBinding": "agent_binding_json", "misfire": "misfire_json", "jitterMs": "jitter_ms",
}

// grpcField is the path of a field as a message has it.
func grpcField(path string) string {
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	if name, ok := grpcFields[path[:end]]; ok {
		return name + path[end:]
	}
	return path
}

// grpcError tells an error as gRPC does: the code, a sentence with the first
// mistake in it, and as details the code of REST with the request's id, and what
// is wrong with which field.
func (a *API) grpcError(ctx context.Context, err error) error {
	var told *connect.Error
	if errors.As(err, &told) {
		return told
	}
	var own *minoots.Error
	var param *huma.ErrorDetail
	switch {
	case errors.As(err, &own):
	case errors.As(err, &param):
		own = &minoots.Error{Code: minoots.CodeInvalid, Message: invalidRequest, Fields: []minoots.FieldError{
			{Path: strings.ToLower(strings.TrimPrefix(param.Location, "header.")), Message: param.Message}}}
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, errors.New("the call was given up"))
	default:
		own = &minoots.Error{Code: minoots.CodeInternal, Message: "internal error", Err: err}
	}
	x := exchangeOf(ctx)
	x.refused = own.Code
	if own.Code == minoots.CodeInternal || own.Code == minoots.CodeUnavailable {
		x.cause = own
	}
	told = connect.NewError(grpcCodes[own.Code], errors.New(sentenceOf(own)))
	info := map[string]string{"requestId": x.id}
	var expired *minoots.CursorExpiredError
	if errors.As(err, &expired) {
		info["oldestCursor"] = expired.Oldest
	}
	addDetail(told, &errdetails.ErrorInfo{Reason: string(own.Code), Domain: "minoots", Metadata: info})
	if len(own.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range own.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: grpcField(f.Path), Description: f.Message,
			})
		}
		addDetail(told, bad)
	}
	return told
}

// sentenceOf is the message with its hint, and with the first mistake, since that
// is what many clients print.
func sentenceOf(e *minoots.Error) string {
	text := e.Message
	if len(e.Fields) > 0 {
		text += ": " + strings.TrimSpace(grpcField(e.Fields[0].Path)+" "+e.Fields[0].Message)
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// addDetail adds a message to an error; one that cannot be packed is left out.
func addDetail(to *connect.Error, message proto.Message) {
	if detail, err := connect.NewErrorDetail(message); err == nil {
		to.AddDetail(detail)
	}
}
