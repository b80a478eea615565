package db

import (
	_ "embed"
)

//go:embed query/audit_timer_without_state.sql
var auditTimerWithoutStateSQL string

//go:embed query/audit_state_without_timer.sql
var auditStateWithoutTimerSQL string

//go:embed query/audit_state_contradicts_itself.sql
var auditStateContradictsItselfSQL string

//go:embed query/audit_state_without_firing.sql
var auditStateWithoutFiringSQL string

//go:embed query/audit_state_disagrees.sql
var auditStateDisagreesSQL string

//go:embed query/audit_timer_overdue.sql
var auditTimerOverdueSQL string

//go:embed query/audit_firing_early.sql
var auditFiringEarlySQL string

//go:embed query/audit_firing_twice.sql
var auditFiringTwiceSQL string

//go:embed query/audit_firing_contradicts_itself.sql
var auditFiringContradictsItselfSQL string

//go:embed query/audit_firing_without_timer.sql
var auditFiringWithoutTimerSQL string

//go:embed query/audit_firing_without_job.sql
var auditFiringWithoutJobSQL string

//go:embed query/audit_job_without_firing.sql
var auditJobWithoutFiringSQL string

//go:embed query/audit_attempt_missing.sql
var auditAttemptMissingSQL string

//go:embed query/audit_attempt_without_firing.sql
var auditAttemptWithoutFiringSQL string

//go:embed query/audit_event_missing.sql
var auditEventMissingSQL string

//go:embed query/audit_event_twice.sql
var auditEventTwiceSQL string

//go:embed query/audit_event_without_timer.sql
var auditEventWithoutTimerSQL string

//go:embed query/audit_event_without_change.sql
var auditEventWithoutChangeSQL string

//go:embed query/audit_key_without_timer.sql
var auditKeyWithoutTimerSQL string

//go:embed query/audit_job_without_acknowledgement.sql
var auditJobWithoutAcknowledgementSQL string

//go:embed query/audit_dead_letter_without_job.sql
var auditDeadLetterWithoutJobSQL string

//go:embed query/audit_dead_letter_without_failure.sql
var auditDeadLetterWithoutFailureSQL string

// auditGrace and auditKept are what a check's third parameter is, if it has one.
const (
	auditGrace = iota + 1 // seconds in which work under way is left alone
	auditKept             // seconds for which retention keeps all that is finished
)

// audits lists the checks, in the order of a timer's life. says is what holds
// when nothing is found.
var audits = []struct {
	name, says, sql string
	third           int
}{
	{"timer_without_state", "every timer has a state", auditTimerWithoutStateSQL, 0},
	{"state_without_timer", "every state has its timer", auditStateWithoutTimerSQL, 0},
	{"state_contradicts_itself", "a state's columns agree with each other", auditStateContradictsItselfSQL, 0},
	{"state_without_firing", "a timer knows its last firing, and that is there", auditStateWithoutFiringSQL, 0},
	{"state_disagrees", "a timer stands where its last firing does", auditStateDisagreesSQL, 0},
	{"timer_overdue", "nothing is due for longer than the grace", auditTimerOverdueSQL, auditGrace},
	{"firing_early", "nothing fires before it is due", auditFiringEarlySQL, 0},
	{"firing_twice", "an occurrence fires once", auditFiringTwiceSQL, 0},
	{"firing_contradicts_itself", "a firing's counts agree with its status", auditFiringContradictsItselfSQL, 0},
	{"firing_without_timer", "every firing has its timer", auditFiringWithoutTimerSQL, auditKept},
	{"firing_without_job", "what runs has its jobs", auditFiringWithoutJobSQL, auditGrace},
	{"job_without_firing", "every job acts for what runs", auditJobWithoutFiringSQL, auditGrace},
	{"job_without_acknowledgement", "what waits for an agent will not wait for ever", auditJobWithoutAcknowledgementSQL, auditGrace},
	{"attempt_missing", "an action that ended has its attempts", auditAttemptMissingSQL, 0},
	{"attempt_without_firing", "every attempt has its firing", auditAttemptWithoutFiringSQL, 0},
	{"dead_letter_without_job", "what is redriven has its job", auditDeadLetterWithoutJobSQL, auditGrace},
	{"dead_letter_without_failure", "a firing counts its dead letters as failed", auditDeadLetterWithoutFailureSQL, 0},
	{"event_missing", "every change is in the log", auditEventMissingSQL, 0},
	{"event_twice", "a firing begins and ends once in the log", auditEventTwiceSQL, 0},
	{"event_without_timer", "every event has its timer", auditEventWithoutTimerSQL, auditKept},
	{"event_without_change", "what the log says is so", auditEventWithoutChangeSQL, 0},
	{"key_without_timer", "every idempotency key has its timer", auditKeyWithoutTimerSQL, 0},
}
