package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/minoots/minoots"
)

// WorkflowSubjects is where workflow events go: below it stand the tenant and the
// event. A stream that takes WorkflowSubjects + ".>" takes them all.
const WorkflowSubjects = "minoots-workflow"

// Publisher publishes to JetStream and waits for the server's acknowledgement. It
// is safe for concurrent use. A jetstream.JetStream is one.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// WorkflowEvent publishes a firing to NATS JetStream.
type WorkflowEvent struct {
	nats Publisher
	now  func() time.Time
}

var _ Executor = (*WorkflowEvent)(nil)

// NewWorkflowEvent builds the executor.
func NewWorkflowEvent(config Config) *WorkflowEvent {
	config = config.withDefaults()
	return &WorkflowEvent{nats: config.NATS, now: config.Now}
}

// workflowSpec is the parameters of a workflow_event.
type workflowSpec struct {
	// Event is the end of the subject. The tenant stands before it and is ours to
	// write: whatever stands here, it is below the tenant's own subject.
	Event     string            `json:"event"`
	Data      json.RawMessage   `json:"data"`
	Headers   map[string]string `json:"headers"`
	TimeoutMs int64             `json:"timeoutMs"`
}

var workflowParameters = jsonNames(reflect.TypeFor[workflowSpec]())

// eventPattern is one to ten tokens of a NATS subject, without wildcards.
var eventPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,9}$`)

const maxEvent = 200 // characters

func parseWorkflow(parameters json.RawMessage) (*workflowSpec, problems) {
	var bad problems
	s := &workflowSpec{TimeoutMs: defaultTimeout.Milliseconds()}
	if len(parameters) > 0 {
		if err := json.Unmarshal(parameters, s); err != nil {
			return nil, problems{jsonProblem(err)}
		}
	}
	if s.Event != "" && (len(s.Event) > maxEvent || !eventPattern.MatchString(s.Event)) {
		bad.add("event", "must be at most %d characters: up to 10 words of letters, digits and _ - with a dot between them; "+
			"it is published below %s.<your tenant>", maxEvent, WorkflowSubjects)
	}
	checkHeaders(&bad, s.Headers)
	for name := range s.Headers {
		if strings.HasPrefix(strings.ToLower(name), "nats-") {
			bad.add("headers."+name, "is NATS's own and cannot be given")
		}
	}
	checkTimeout(&bad, s.TimeoutMs)
	return s, bad
}

// Check implements Executor. It does not ask NATS: that it is away for a moment
// is no reason to refuse a timer that is due tomorrow.
func (e *WorkflowEvent) Check(parameters json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
	_, bad := parseWorkflow(parameters)
	bad.addUnknown(parameters, workflowParameters)
	return bad
}

// Destination implements Executor.
func (e *WorkflowEvent) Destination(*minoots.Delivery) string { return "nats" }

// Execute implements Executor.
func (e *WorkflowEvent) Execute(ctx context.Context, d minoots.Delivery, attempt int) minoots.Outcome {
	return run(e.now, func(out *minoots.Outcome) failure {
		spec, bad := parseWorkflow(d.Action.Parameters)
		if len(bad) > 0 {
			return failure{ClassParameters, bad[0].Path + " " + bad[0].Message}
		}
		msg, err := spec.message(&d, attempt)
		if err != nil {
			return notJSON
		}
		limit := time.Duration(spec.TimeoutMs) * time.Millisecond
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		// The server drops what it has under the same id already, within the
		// stream's window: two minutes unless it was made with another.
		ack, err := e.nats.PublishMsg(limited, msg, jetstream.WithMsgID(d.WebhookID()))
		if err != nil {
			return natsFailure(ctx, limited, err, msg.Subject, limit)
		}
		out.Response, err = json.Marshal(map[string]any{"stream": ack.Stream, "sequence": ack.Sequence, "duplicate": ack.Duplicate})
		if err != nil {
			out.Response = nil // it has been published
		}
		return failure{}
	})
}

// message makes the message: the data that was given, else the body that a
// webhook would have.
func (s *workflowSpec) message(d *minoots.Delivery, attempt int) (*nats.Msg, error) {
	event := s.Event
	if event == "" {
		event = strings.NewReplacer(".", "_", ":", "_").Replace(d.Action.ID)
	}
	msg := nats.NewMsg(strings.Join([]string{WorkflowSubjects, d.TenantID, event}, "."))
	for name, value := range s.Headers {
		msg.Header[name] = []string{value}
	}
	for name, value := range map[string]string{
		"content-type":        "application/json",
		"webhook-id":          d.WebhookID(),
		"x-minoots-timer-id":  d.Timer.ID.String(),
		"x-minoots-tenant-id": d.TenantID,
		"x-minoots-attempt":   fmt.Sprint(attempt),
		"traceparent":         traceParent(d.WebhookID()),
	} {
		msg.Header[name] = []string{value}
	}
	if len(s.Data) > 0 && !isNull(s.Data) {
		msg.Data = s.Data
		return msg, nil
	}
	var err error
	msg.Data, err = defaultBody(d, attempt)
	return msg, err
}

// natsFailure classifies the error of a publication. Texts are ours: those of the
// library may name servers.
func natsFailure(caller, attempt context.Context, err error, subject string, limit time.Duration) failure {
	var refused *jetstream.APIError
	switch {
	case errors.Is(caller.Err(), context.Canceled):
		return failureOf(caller, attempt, err, limit)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return failure{ClassNoStream, fmt.Sprintf("no JetStream stream takes the subject %s; an operator makes one", subject)}
	case errors.As(err, &refused):
		return failure{ClassBroker, fmt.Sprintf("JetStream refused the message: %s (error %d)", refused.Description, refused.ErrorCode)}
	case errors.Is(err, nats.ErrMaxPayload):
		return failure{ClassParameters, "the message is larger than the NATS server takes"}
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrConnectionReconnecting):
		return failure{ClassUnreachable, "the NATS server is not connected"}
	case attempt.Err() != nil, errors.Is(err, nats.ErrTimeout):
		return failure{ClassTimeout, fmt.Sprintf("no acknowledgement from JetStream within %s", limit)}
	default:
		return failure{ClassBroker, "the message could not be published"}
	}
}
