package minoots

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits keep one caller from hurting the rest. A 4xx names the one that was passed.
const (
	MaxTimerBytes      = 256 << 10 // one timer's JSON
	MaxBatchTimers     = 10_000
	MaxLabels          = 64
	MaxLabelKey        = 64  // characters
	MaxLabelValue      = 256 // characters
	MaxName            = 256 // characters; requestedBy and cancel reasons too
	MaxActions         = 100 // in actions, and in compensation
	MaxEscalations     = 5   // one below the other
	MaxJSONDepth       = 64
	MaxResponseCapture = 4 << 10 // bytes of a receiver's answer that are kept
)

// ParameterChecker says what is wrong with the parameters of an action of one
// kind, or that the kind is not available here. Paths are below "parameters".
// agent is the timer's binding, on which an agent_prompt's parameters depend; nil
// if it has none.
type ParameterChecker func(kind ActionKind, parameters json.RawMessage, agent *AgentBinding) []FieldError

// Checks are what this package cannot tell for itself, since it imports nothing.
// One that is nil finds nothing.
type Checks struct {
	Parameters ParameterChecker
	// Recurrence reads the expression and the zone. Paths are those of the spec.
	Recurrence func(s *TimerSpec, now time.Time) []FieldError
	// Agent reads the adapter's target and compiles the template. Paths are below
	// "agentBinding".
	Agent func(binding *AgentBinding) []FieldError
}

// Validate checks all that can be told without the database and reports every
// mistake at once. now is the database's time as far as it is known.
func (s *TimerSpec) Validate(now time.Time, checks Checks) error {
	var bad problems
	s.validateWhen(&bad, now, checks)
	checkText(&bad, "name", s.Name, MaxName)
	checkText(&bad, "requestedBy", s.RequestedBy, MaxName)
	checkLabels(&bad, s.Labels)
	if s.JitterMs < 0 || s.JitterMs > 86_400_000 {
		bad.add("jitterMs", "must be from 0 to 86400000 (a day)")
	}
	if s.Misfire != nil {
		s.Misfire.validate(&bad)
	}
	if s.ActionBundle != nil {
		s.ActionBundle.validate(&bad, checks.Parameters, s.AgentBinding)
	}
	if s.AgentBinding != nil {
		s.AgentBinding.validate(&bad, checks.Agent)
	}
	return bad.err("timer")
}

func (s *TimerSpec) validateWhen(bad *problems, now time.Time, checks Checks) {
	given := 0
	for _, there := range []bool{s.Duration != nil, s.FireAt != nil, s.Recurrence != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		bad.add("", "must have exactly one of duration, fireAt and recurrence, and has %d", given)
	}
	if s.Duration != nil && (*s.Duration < Duration(time.Millisecond) || *s.Duration > Duration(MaxHorizon)) {
		bad.add("duration", "must be from 1ms to %s (100 years)", Duration(MaxHorizon))
	}
	if s.FireAt != nil {
		if s.FireAt.After(now.Add(MaxHorizon)) || s.FireAt.Before(now.Add(-MaxHorizon)) {
			bad.add("fireAt", "must be within 100 years from now")
		}
		if late := now.Sub(s.FireAt.Time); late > 0 && !s.Misfire.allows(late) {
			bad.add("fireAt", "is in the past (now is %s); to have it fire at once, give misfire.policy fire_once", InstantOf(now))
		}
	}
	if s.Recurrence != nil {
		s.validateRecurrence(bad, now, checks)
	}
}

// validateRecurrence tells what is wrong with a recurrence: all of it by the
// check, and what shows without reading the expression else.
func (s *TimerSpec) validateRecurrence(bad *problems, now time.Time, checks Checks) {
	if checks.Recurrence != nil {
		*bad = append(*bad, checks.Recurrence(s, now)...)
		return
	}
	for _, f := range s.Recurrence.Validate(now) {
		bad.add(strings.TrimSuffix("recurrence."+f.Path, "."), "%s", f.Message)
	}
}

// allows tells whether a timer that late is accepted when it is created.
func (m *Misfire) allows(late time.Duration) bool {
	if m == nil {
		return false
	}
	return m.Policy != MisfireSkip || late <= m.Grace()
}

func (m *Misfire) validate(bad *problems) {
	if !slices.Contains([]MisfirePolicy{"", MisfireFireOnce, MisfireFireAll, MisfireSkip}, m.Policy) {
		bad.add("misfire.policy", "must be fire_once, fire_all or skip")
	}
	if m.GraceMs < 0 || m.GraceMs > 365*86_400_000 {
		bad.add("misfire.graceMs", "must be from 0 to 31536000000 (a year)")
	}
	if m.MaxLatenessMs < 0 || m.MaxLatenessMs > 365*86_400_000 {
		bad.add("misfire.maxLatenessMs", "must be from 0 to 31536000000 (a year)")
	}
}

func checkLabels(bad *problems, labels map[string]string) {
	if len(labels) > MaxLabels {
		bad.add("labels", "must be at most %d pairs, not %d", MaxLabels, len(labels))
		return
	}
	for k, v := range labels {
		var own problems
		if k == "" || strings.Contains(k, ":") {
			own.add("", "key must not be empty nor contain ':'")
		}
		checkText(&own, "", k, MaxLabelKey)
		checkText(&own, "", v, MaxLabelValue)
		for i := range own { // the path is made only now: most labels have no use for one
			own[i].Path = "labels." + short(k)
		}
		*bad = append(*bad, own...)
	}
}

// checkText refuses what Postgres text cannot hold and what is too long.
func checkText(bad *problems, path, s string, most int) {
	switch {
	case strings.ContainsRune(s, 0):
		bad.add(path, "must not contain the NUL character")
	case !utf8.ValidString(s):
		bad.add(path, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > most:
		bad.add(path, "must be at most %d characters", most)
	}
}

// short cuts a caller's text for an error message.
func short(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", `\0`), "?")
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
