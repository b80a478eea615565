package minoots

import (
	"encoding/json"
	"time"
)

// TimerSpec is a timer as a caller asks for it: when, and which actions.
// When is exactly one of Duration, FireAt and Recurrence. A timer without
// actions is a thing to wait on.
type TimerSpec struct {
	Name         string            `json:"name,omitempty" maxLength:"256" doc:"For people; need not be unique." example:"resume-research"`
	RequestedBy  string            `json:"requestedBy,omitempty" maxLength:"256" doc:"Who asked, in the caller's own terms." example:"agent:planner"`
	TenantID     string            `json:"tenantId,omitempty" maxLength:"64" doc:"May repeat the credential's tenant, and must then agree with it."`
	Duration     *Duration         `json:"duration,omitempty" doc:"Fire this long from now: \"90s\", \"1h30m\", \"2d\", \"PT1H\", or milliseconds as a number." example:"45m"`
	FireAt       *Instant          `json:"fireAt,omitempty" doc:"Fire at this instant, RFC 3339."`
	Recurrence   *Recurrence       `json:"recurrence,omitempty" doc:"Fire again and again."`
	Labels       map[string]string `json:"labels,omitempty" doc:"Up to 64 pairs to find timers by."`
	Metadata     json.RawMessage   `json:"metadata,omitempty" doc:"Any JSON; handed to the actions."`
	ActionBundle *Bundle           `json:"actionBundle,omitempty" doc:"What to do when the timer fires."`
	AgentBinding *AgentBinding     `json:"agentBinding,omitempty" doc:"The agent that agent_prompt actions wake."`
	Misfire      *Misfire          `json:"misfire,omitempty" doc:"What to do when the timer is found past due."`
	JitterMs     int64             `json:"jitterMs,omitempty" minimum:"0" maximum:"86400000" doc:"Spread the firing over this window after the due instant."`
}

// WithDefaults gives the spec as it is stored: with the defaults of its bundle,
// binding and misfire written out, so that whoever reads a timer sees what holds.
func (s TimerSpec) WithDefaults() TimerSpec {
	s.ActionBundle = withDefaults(s.ActionBundle)
	s.AgentBinding = withDefaults(s.AgentBinding)
	s.Misfire = withDefaults(s.Misfire)
	return s
}

// withDefaults is WithDefaults of a part that may be left out.
func withDefaults[T interface{ WithDefaults() T }](part *T) *T {
	if part == nil {
		return nil
	}
	full := (*part).WithDefaults()
	return &full
}

// Timer is a timer as it stands: the spec and what became of it.
type Timer struct {
	ID            ID                `json:"id" doc:"UUID, version 7."`
	TenantID      string            `json:"tenantId"`
	Name          string            `json:"name"`
	RequestedBy   string            `json:"requestedBy"`
	Status        Status            `json:"status" enum:"scheduled,armed,paused,fired,settled,failed,cancelled" doc:"armed is in the enum for older clients and is never answered."`
	CreatedAt     Instant           `json:"createdAt"`
	UpdatedAt     Instant           `json:"updatedAt"`
	FireAt        Instant           `json:"fireAt" doc:"The next due instant, or the last one of a timer that is over."`
	Duration      *Duration         `json:"duration" doc:"As asked for; null for a timer with an instant or a recurrence."`
	DurationMs    *int64            `json:"durationMs" doc:"The same in milliseconds."`
	FiredAt       *Instant          `json:"firedAt"`
	SettledAt     *Instant          `json:"settledAt"`
	CancelledAt   *Instant          `json:"cancelledAt"`
	CancelReason  *string           `json:"cancelReason"`
	CancelledBy   *string           `json:"cancelledBy"`
	FailureReason *string           `json:"failureReason"`
	Occurrence    int               `json:"occurrence" doc:"Firings so far."`
	Version       int64             `json:"version" doc:"Grows with every change; the ETag."`
	Labels        map[string]string `json:"labels"`
	Metadata      json.RawMessage   `json:"metadata,omitempty"`
	ActionBundle  *Bundle           `json:"actionBundle,omitempty"`
	AgentBinding  *AgentBinding     `json:"agentBinding,omitempty"`
	Recurrence    *Recurrence       `json:"recurrence,omitempty"`
	Misfire       *Misfire          `json:"misfire,omitempty"`
	JitterMs      int64             `json:"jitterMs"`
	LastFiring    *Firing           `json:"lastFiring,omitempty"`
	Herd          *Herd             `json:"herd,omitempty" doc:"In the answer to a create, if many timers of the tenant's are due in the same second."`
}

// Misfire says what to do with a timer that is found past due by more than GraceMs.
type Misfire struct {
	Policy  MisfirePolicy `json:"policy,omitempty" enum:"fire_once,fire_all,skip" default:"fire_once" doc:"What becomes of what was missed. Written out where it is left out."`
	GraceMs int64         `json:"graceMs,omitempty" minimum:"0" maximum:"31536000000" doc:"How late is not yet missed. Default, also for 0, 60000."`
	// MaxLatenessMs is how late a firing may be at most, in milliseconds.
	MaxLatenessMs int64 `json:"maxLatenessMs,omitempty" minimum:"0" maximum:"31536000000" doc:"A firing later than this is skipped, and says so. Default: never too late."`
}

// WithDefaults gives the misfire with its policy written out.
func (m Misfire) WithDefaults() Misfire {
	if m.Policy == "" {
		m.Policy = MisfireFireOnce
	}
	return m
}

// DefaultGrace is the grace where none is given.
const DefaultGrace = time.Minute

// Grace is how late a firing may be without being missed.
func (m *Misfire) Grace() time.Duration {
	if m == nil || m.GraceMs == 0 {
		return DefaultGrace
	}
	return time.Duration(m.GraceMs) * time.Millisecond
}

// MisfirePolicy names what Misfire does.
type MisfirePolicy string

// The policies of the contract.
const (
	MisfireFireOnce MisfirePolicy = "fire_once"
	MisfireFireAll  MisfirePolicy = "fire_all"
	MisfireSkip     MisfirePolicy = "skip"
)

// ResumePolicy says what becomes of a paused timer's due instant.
type ResumePolicy string

// The policies of the contract. Each treats a timer whose instant is still to
// come, and one that has missed it, in its own way.
const (
	ResumeShift ResumePolicy = "shift" // what was left when it was paused counts on
	ResumeFire  ResumePolicy = "fire"  // due when it was to be, at once if that has passed
	ResumeSkip  ResumePolicy = "skip"  // over if that has passed
)

// ResumePolicies lists what resume takes, the default first.
var ResumePolicies = []ResumePolicy{ResumeShift, ResumeFire, ResumeSkip}
