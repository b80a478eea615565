package action

import (
	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonwrite"
)

// payload is the body of a webhook whose caller gave none. It is public: fields
// may be added, never changed.
type payload struct {
	Type      string          `json:"type"`
	Timestamp minoots.Instant `json:"timestamp"`
	Data      payloadData     `json:"data"`
}

type payloadData struct {
	Timer   payloadTimer  `json:"timer"`
	Firing  payloadFiring `json:"firing"`
	Action  payloadAction `json:"action"`
	Attempt int           `json:"attempt"`
	// Cause is told to escalations, Compensates to compensations.
	Cause       *minoots.ActionEnd   `json:"cause,omitempty"`
	Compensates *minoots.Compensates `json:"compensates,omitempty"`
}

type payloadTimer struct {
	ID          minoots.ID        `json:"id"`
	TenantID    string            `json:"tenantId"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Metadata    minoots.RawJSON   `json:"metadata"`
	RequestedBy string            `json:"requestedBy"`
}

type payloadFiring struct {
	Occurrence int             `json:"occurrence"`
	DueAt      minoots.Instant `json:"dueAt"`
	FiredAt    minoots.Instant `json:"firedAt"`
}

type payloadAction struct {
	ID   string             `json:"id"`
	Kind minoots.ActionKind `json:"kind"`
}

var (
	payloadEncoder     = jsonwrite.New[payload]()
	payloadDataEncoder = jsonwrite.New[payloadData]()
)

// usualPayload is the room for a payload that tells no more than most, in bytes.
const usualPayload = 512

// newPayload tells the receiver which timer fired. Its timestamp is the firing's
// and not the delivery's, so that repeats say the same. Labels and metadata are
// objects even where the timer has none, so that receivers may look inside
// without asking first.
func newPayload(d *minoots.Delivery, attempt int) payload {
	labels, metadata := d.Timer.Labels, d.Timer.Metadata
	if labels == nil {
		labels = map[string]string{}
	}
	if len(metadata) == 0 {
		metadata = minoots.RawJSON("{}")
	}
	return payload{
		Type:      "timer.fired",
		Timestamp: d.FiredAt,
		Data: payloadData{
			Timer: payloadTimer{
				ID: d.Timer.ID, TenantID: d.TenantID, Name: d.Timer.Name,
				Labels: labels, Metadata: metadata, RequestedBy: d.Timer.RequestedBy,
			},
			Firing:  payloadFiring{Occurrence: d.Occurrence, DueAt: d.DueAt, FiredAt: d.FiredAt},
			Action:  payloadAction{ID: d.Action.ID, Kind: d.Action.Kind},
			Attempt: attempt,
			Cause:   d.Cause, Compensates: d.Compensates,
		},
	}
}

// defaultBody is the payload as it is sent.
func defaultBody(d *minoots.Delivery, attempt int) ([]byte, error) {
	told := newPayload(d, attempt)
	return payloadEncoder.Append(make([]byte, 0, usualPayload), &told)
}
