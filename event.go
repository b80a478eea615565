package minoots

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// EventType names a line of the append-only lifecycle log.
type EventType string

// The types are public: they are topics, and NATS subjects.
const (
	EventTimerScheduled  EventType = "timer.scheduled"
	EventTimerUpdated    EventType = "timer.updated"
	EventTimerPaused     EventType = "timer.paused"
	EventTimerResumed    EventType = "timer.resumed"
	EventTimerReplayed   EventType = "timer.replayed"
	EventTimerCancelled  EventType = "timer.cancelled"
	EventTimerFired      EventType = "timer.fired"
	EventTimerSettled    EventType = "timer.settled"
	EventTimerFailed     EventType = "timer.failed"
	EventActionSucceeded EventType = "action.succeeded"
	EventActionFailed    EventType = "action.failed"
	// An action that ran out of attempts and of escalation.
	EventActionDeadLettered EventType = "action.dead_lettered"
	// An agent has acknowledged a delivery.
	EventActionAcknowledged EventType = "action.acknowledged"
	EventFiringSkipped      EventType = "firing.skipped"
)

// EventTypes are all of them, in the order of the documentation.
var EventTypes = []EventType{
	EventTimerScheduled, EventTimerUpdated, EventTimerPaused, EventTimerResumed, EventTimerReplayed, EventTimerCancelled,
	EventTimerFired, EventTimerSettled, EventTimerFailed,
	EventActionSucceeded, EventActionFailed, EventActionDeadLettered, EventActionAcknowledged, EventFiringSkipped,
}

// EventVersion is the version of the envelope and of the data. Fields are added
// without a new one.
const EventVersion = 1

// Event is one line of the lifecycle log, in the envelope in which every consumer
// gets it: SSE, a page, gRPC, NATS, webhooks.
type Event struct {
	ID         string          `json:"id" example:"184467" doc:"Unique in the log, and the same however often and by whatever way the event is delivered."`
	Type       EventType       `json:"type" example:"timer.fired"`
	TenantID   string          `json:"tenantId"`
	TimerID    ID              `json:"timerId"`
	Occurrence int             `json:"occurrence,omitempty" minimum:"1" doc:"The firing that it is about, 1 for the first; absent if it is about the timer as a whole."`
	OccurredAt Instant         `json:"occurredAt" doc:"When the transaction that made the change began, by the database's clock. The order of events is that of the log, not of this."`
	TraceID    string          `json:"traceId" pattern:"^[0-9a-f]{32}$" doc:"W3C trace id: an action's events have that of its deliveries' traceparent, a timer's events one of the timer's."`
	Version    int             `json:"version" example:"1" doc:"Of the envelope and of data. Fields may be added without a new one."`
	DedupeKey  string          `json:"dedupeKey" doc:"The same for two events that tell the same fact."`
	Data       json.RawMessage `json:"data,omitempty" doc:"What there is to know besides, by type; absent if nothing."`
}

// NewEvent completes an event from what the log stores: its number in the log,
// and the rest.
func NewEvent(seq int64, e Event) Event {
	e.ID, e.Version = strconv.FormatInt(seq, 10), EventVersion
	action := e.actionData()
	e.DedupeKey, e.TraceID = e.dedupeKey(action), e.traceID(action)
	return e
}

// actionData is what the data of an action's event has for certain.
type actionData struct {
	ActionID string `json:"actionId"`
	Final    *bool  `json:"final"`
}

func (e *Event) actionData() (a actionData) {
	if strings.HasPrefix(string(e.Type), "action.") {
		_ = json.Unmarshal(e.Data, &a) // what is not there is not in the key
	}
	return a
}

// dedupeKey is made of what can happen only once. What can happen again, such as
// a pause or an attempt, is told apart by the event's own id.
func (e *Event) dedupeKey(a actionData) string {
	parts := []string{e.TimerID.String(), string(e.Type)}
	if e.Occurrence > 0 {
		parts = append(parts, strconv.Itoa(e.Occurrence))
	}
	if a.ActionID != "" {
		parts = append(parts, a.ActionID)
	}
	repeats := e.Type == EventTimerUpdated || e.Type == EventTimerPaused || e.Type == EventTimerResumed ||
		e.Type == EventActionFailed && (a.Final == nil || !*a.Final)
	if repeats {
		parts = append(parts, e.ID)
	}
	return strings.Join(parts, "/")
}

func (e *Event) traceID(a actionData) string {
	of := e.TimerID.String()
	if a.ActionID != "" {
		of = Delivery{Timer: DeliveryTimer{ID: e.TimerID}, Occurrence: e.Occurrence, Action: Action{ID: a.ActionID}}.WebhookID()
	}
	trace := TraceID(of)
	return hex.EncodeToString(trace[:])
}

// TraceID gives the W3C trace id of what a text names. That of a delivery is of
// its WebhookID, so that all its attempts and events stand in one trace, whichever
// replica makes them.
func TraceID(of string) [16]byte {
	sum := sha256.Sum256([]byte("minoots trace " + of))
	return [16]byte(sum[:16])
}

// Topics gives the event types that a list of topics means: types, prefixes such
// as "timer.*", or "*". A comma separates topics too. No topics are all types:
// nil. An unknown topic is CodeInvalid.
func Topics(topics []string) ([]EventType, error) {
	var types []EventType
	var bad problems
	all := len(topics) == 0
	for _, topic := range strings.Split(strings.Join(topics, ","), ",") {
		if all {
			break
		}
		topic = strings.TrimSpace(topic)
		if topic == "*" {
			return nil, bad.err("topics")
		}
		matched := TopicTypes(topic)
		if len(matched) == 0 {
			bad.add("topics", "%s: want *, timer.*, action.*, firing.* or one of %s", unknownTopic(topic), joinTypes(EventTypes))
		}
		for _, t := range matched {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	return types, bad.err("topics")
}

// TopicTypes gives the types that one topic means, none if it is unknown.
func TopicTypes(topic string) []EventType {
	var types []EventType
	prefix, wild := strings.CutSuffix(topic, "*")
	wild = wild && (prefix == "" || strings.HasSuffix(prefix, "."))
	for _, t := range EventTypes {
		if string(t) == topic || wild && strings.HasPrefix(string(t), prefix) {
			types = append(types, t)
		}
	}
	return types
}

func unknownTopic(topic string) string {
	if len(topic) > 40 {
		topic = strings.ToValidUTF8(topic[:40], "") + "…"
	}
	return strconv.Quote(topic) + " is not a topic"
}

func joinTypes(types []EventType) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return strings.Join(words, ", ")
}

// CursorExpiredError is the cause of a CodeGone: retention has dropped events that the
// cursor's holder has not read. Oldest is the cursor from which on there are all.
type CursorExpiredError struct{ Oldest string }

// Error implements error.
func (e *CursorExpiredError) Error() string { return "the oldest cursor is " + e.Oldest }
