package minoots

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
