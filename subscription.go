package minoots

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// SubscriptionStatus says whether a subscription's deliveries are sent.
type SubscriptionStatus string

// A paused one keeps what happens meanwhile.
const (
	SubscriptionActive SubscriptionStatus = "active"
	SubscriptionPaused SubscriptionStatus = "paused"
)

// MaxSubscriptions is how many a tenant may have.
const MaxSubscriptions = 100

// maxTopics bounds the topics of one subscription.
const maxTopics = 50

// EventSubscriptionTest is what a test of a subscription sends. It is in no log
// and no topic.
const EventSubscriptionTest EventType = "subscription.test"

// SubscriptionSpec is what a caller says of a subscription.
type SubscriptionSpec struct {
	Name        string            `json:"name,omitempty" maxLength:"256" doc:"For people."`
	URL         string            `json:"url" doc:"Where to send: what a webhook's url may be." example:"https://example.com/events"`
	Topics      []string          `json:"topics" minItems:"1" maxItems:"50" doc:"Event types, prefixes such as timer.*, or *." example:"[\"timer.*\"]"`
	TimerID     *ID               `json:"timerId,omitempty" format:"uuid" doc:"Only events of this timer."`
	Headers     map[string]string `json:"headers,omitempty" doc:"Sent with each delivery; a place for the receiver's own credential. Their values are never shown again."`
	RetryPolicy *RetryPolicy      `json:"retryPolicy,omitempty" doc:"As an action's."`
}

// Subscription sends a tenant's events to a URL.
type Subscription struct {
	ID           ID                 `json:"id"`
	TenantID     string             `json:"tenantId"`
	Name         string             `json:"name"`
	URL          string             `json:"url"`
	Topics       []string           `json:"topics"`
	TimerID      *ID                `json:"timerId"`
	HeaderNames  []string           `json:"headerNames" doc:"Headers that are sent with each delivery; their values are not shown."`
	RetryPolicy  RetryPolicy        `json:"retryPolicy"`
	Status       SubscriptionStatus `json:"status" enum:"active,paused"`
	PausedAt     *Instant           `json:"pausedAt"`
	PausedReason *string            `json:"pausedReason" doc:"Why, if it was not asked for: the receiver answered 410 Gone."`
	CreatedAt    Instant            `json:"createdAt"`
	UpdatedAt    Instant            `json:"updatedAt"`
	Version      int                `json:"version" doc:"Grows with each change."`

	// Headers may hold secrets: they are stored and sent, and never shown. Nil in
	// what was read, but for who asks for them.
	Headers map[string]string `json:"-"`
}

// SubscriptionDelivery is a line of a subscription's log: one event for it.
type SubscriptionDelivery struct {
	ID             ID             `json:"id" doc:"The webhook-id of all its attempts."`
	SubscriptionID ID             `json:"subscriptionId"`
	EventID        string         `json:"eventId"`
	Type           EventType      `json:"type"`
	TimerID        ID             `json:"timerId"`
	Status         DeliveryStatus `json:"status" enum:"waiting,paused,delivered,failed,dropped" doc:"waiting: on its way, or for its next attempt; paused: for the subscription; dropped: given up by a resume with skip."`
	Attempts       int            `json:"attempts"`
	HTTPStatus     *int           `json:"httpStatus" doc:"Of the last attempt, as the rest."`
	ErrorClass     *string        `json:"errorClass"`
	Error          *string        `json:"error"`
	Response       *string        `json:"response" doc:"The first 4 KiB of the answer."`
	CreatedAt      Instant        `json:"createdAt"`
	EndedAt        *Instant       `json:"endedAt"`
}

// DeliveryStatus says where a subscription's delivery stands.
type DeliveryStatus string

// waiting ⇄ paused → dropped, and waiting → delivered or failed.
const (
	DeliveryWaiting   DeliveryStatus = "waiting"
	DeliveryPaused    DeliveryStatus = "paused"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryDropped   DeliveryStatus = "dropped"
)

// DeliveryStatuses lists them.
var DeliveryStatuses = []DeliveryStatus{DeliveryWaiting, DeliveryPaused, DeliveryDelivered, DeliveryFailed, DeliveryDropped}

// DeliverySubscription names the subscription that a delivery is of.
type DeliverySubscription struct {
	ID         ID `json:"id"`
	DeliveryID ID `json:"deliveryId"`
	// Sealed is the version of the subscription whose headers are sealed: they do not
	// stand in the action, and are put there for an attempt. 0 if they do.
	Sealed int `json:"sealed,omitempty"`
}

// WithHeaders gives a subscription's delivery with these headers.
func (d Delivery) WithHeaders(headers map[string]string) (Delivery, error) {
	var parameters struct {
		URL  string          `json:"url"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(d.Action.Parameters, &parameters); err != nil {
		return d, fmt.Errorf("read the parameters of a subscription's delivery: %w", err)
	}
	d.Action.Parameters = webhookParameters(parameters.URL, headers, parameters.Body)
	return d, nil
}

// Validate reports every mistake at once.
func (s *SubscriptionSpec) Validate(checks Checks) error {
	var bad problems
	checkText(&bad, "name", s.Name, MaxName)
	switch {
	case len(s.Topics) == 0:
		bad.add("topics", `is required, such as ["timer.*"], or ["*"] for all`)
	case len(s.Topics) > maxTopics:
		bad.add("topics", "must be at most %d, not %d", maxTopics, len(s.Topics))
	default:
		for i, topic := range s.Topics {
			if len(TopicTypes(topic)) == 0 {
				bad.add(fmt.Sprintf("topics[%d]", i), "%s: want *, timer.*, action.*, firing.* or one of %s", unknownTopic(topic), joinTypes(EventTypes))
			}
		}
	}
	s.RetryPolicy.validate(&bad, "retryPolicy")
	if checks.Parameters != nil {
		for _, f := range checks.Parameters(KindWebhook, webhookParameters(s.URL, s.Headers, nil), nil) {
			bad.add(strings.TrimPrefix(f.Path, "parameters."), "%s", f.Message)
		}
	}
	return bad.err("subscription")
}

// Wants tells whether an event concerns the subscription, but for its age.
func (s *Subscription) Wants(e *Event) bool {
	if s.TimerID != nil && *s.TimerID != e.TimerID {
		return false
	}
	return slices.ContainsFunc(s.Topics, func(topic string) bool { return slices.Contains(TopicTypes(topic), e.Type) })
}

// TestDelivery is a delivery of a made-up event.
func (s *Subscription) TestDelivery(id ID, at Instant) (Delivery, error) {
	trace := TraceID(id.String())
	event, err := json.Marshal(Event{
		ID: id.String(), Type: EventSubscriptionTest, TenantID: s.TenantID, OccurredAt: at,
		TraceID: fmt.Sprintf("%x", trace), Version: EventVersion, DedupeKey: id.String(),
		Data: json.RawMessage(`{"subscriptionId":"` + s.ID.String() + `"}`),
	})
	return Delivery{
		TenantID: s.TenantID, DueAt: at, FiredAt: at, Policy: s.RetryPolicy, Alone: true,
		Action:       Action{ID: "event", Kind: KindWebhook, Parameters: webhookParameters(s.URL, s.Headers, event)},
		Subscription: &DeliverySubscription{ID: s.ID, DeliveryID: id},
	}, err
}

func webhookParameters(url string, headers map[string]string, body json.RawMessage) json.RawMessage {
	text, err := json.Marshal(struct {
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    json.RawMessage   `json:"body,omitempty"`
	}{url, headers, body})
	if err != nil {
		panic(err) // strings, and what was made by Marshal
	}
	return text
}
