package minoots_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func at(t time.Time) *minoots.Instant { return ptr(minoots.InstantOf(t)) }

// good is a timer with all that a caller may give.
func good() minoots.TimerSpec {
	policy := &minoots.RetryPolicy{MaxAttempts: 100, BackoffInitialMs: 86_400_000, BackoffMultiplier: 100, BackoffMaxMs: 604_800_000}
	return minoots.TimerSpec{
		Name: strings.Repeat("ä", minoots.MaxName), RequestedBy: "agent:planner", Duration: ptr(minoots.Duration(45 * time.Minute)),
		Labels:   map[string]string{"session": "s-17", strings.Repeat("k", minoots.MaxLabelKey): strings.Repeat("ä", minoots.MaxLabelValue)},
		Metadata: json.RawMessage(`{"any": "JSON"}`), JitterMs: 86_400_000,
		Misfire: &minoots.Misfire{Policy: minoots.MisfireFireOnce, GraceMs: 365 * 86_400_000},
		ActionBundle: &minoots.Bundle{Concurrency: minoots.MaxActions, RetryPolicy: policy, Actions: []minoots.Action{
			{ID: "wake", Kind: minoots.KindWebhook, RetryPolicy: policy},
			{ID: "A-z_0.9:" + strings.Repeat("x", 56), Kind: minoots.KindCommand},
		}},
		AgentBinding: &minoots.AgentBinding{
			Adapter: strings.Repeat("a", 64), Target: strings.Repeat("t", 2048), AcknowledgementTimeoutMs: 604_800_000,
		},
	}
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*minoots.TimerSpec){
		"everything":                     func(*minoots.TimerSpec) {},
		"no actions":                     func(s *minoots.TimerSpec) { s.ActionBundle = nil },
		"an empty bundle":                func(s *minoots.TimerSpec) { s.ActionBundle = &minoots.Bundle{} },
		"the shortest":                   func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(time.Millisecond)) },
		"the longest":                    func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(minoots.MaxHorizon)) },
		"an instant":                     func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, at(now.Add(time.Hour)) },
		"this very instant":              func(s *minoots.TimerSpec) { s.Duration, s.FireAt, s.Misfire = nil, at(now), nil },
		"in ten years":                   func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, at(now.AddDate(10, 0, 0)) },
		"the last instant":               func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, at(now.Add(minoots.MaxHorizon)) },
		"past, to fire at once":          func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, at(now.AddDate(-1, 0, 0)) },
		"past, the policy left out":      func(s *minoots.TimerSpec) { late(s, &minoots.Misfire{GraceMs: 1}) },
		"past, within the default grace": func(s *minoots.TimerSpec) { late(s, &minoots.Misfire{Policy: minoots.MisfireSkip}) },
		"past, within the grace of skip": func(s *minoots.TimerSpec) { late(s, &minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 60_000}) },
		"a hundred actions":              func(s *minoots.TimerSpec) { s.ActionBundle.Actions = actions(minoots.MaxActions) },
		"64 labels":                      func(s *minoots.TimerSpec) { s.Labels = labels(minoots.MaxLabels) },
	} {
		s := good()
		change(&s)
		assert.NoError(t, s.Validate(now, minoots.Checks{}), name)
	}
}

// late makes s a timer for a minute ago.
func late(s *minoots.TimerSpec, m *minoots.Misfire) {
	s.Duration, s.FireAt, s.Misfire = nil, at(now.Add(-time.Minute)), m
}

func actions(n int) []minoots.Action {
	all := make([]minoots.Action, n)
	for i := range all {
		all[i] = minoots.Action{ID: fmt.Sprint(i), Kind: minoots.KindWebhook}
	}
	return all
}

func labels(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprint(i)] = ""
	}
	return all
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	firstAction := func(change func(*minoots.Action)) func(*minoots.TimerSpec) {
		return func(s *minoots.TimerSpec) { change(&s.ActionBundle.Actions[0]) }
	}
	escalates := func(change func(*minoots.Escalation)) func(*minoots.TimerSpec) {
		return firstAction(func(a *minoots.Action) {
			a.Escalation = &minoots.Escalation{AfterAttempts: 1, EscalatesTo: &minoots.Action{ID: "page", Kind: minoots.KindWebhook}}
			change(a.Escalation)
		})
	}
	policy := func(p minoots.RetryPolicy) func(*minoots.TimerSpec) {
		return func(s *minoots.TimerSpec) { s.ActionBundle.RetryPolicy = &p }
	}
	const retry, action, binding = "actionBundle.retryPolicy.", "actionBundle.actions[0]", "agentBinding"
	for _, c := range []struct {
		path, why string
		change    func(*minoots.TimerSpec)
	}{
		{"", "exactly one of duration, fireAt and recurrence, and has 0", func(s *minoots.TimerSpec) { s.Duration = nil }},
		{"", "and has 2", func(s *minoots.TimerSpec) { s.FireAt = at(now.Add(time.Hour)) }},
		{"recurrence", "exactly one of cron", func(s *minoots.TimerSpec) { s.Duration, s.Recurrence = nil, &minoots.Recurrence{} }},
		{"duration", "from 1ms to 36525d", func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(0)) }},
		{"duration", "from 1ms", func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(time.Millisecond - 1)) }},
		{"duration", "from 1ms", func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(-time.Hour)) }},
		{"duration", "(100 years)", func(s *minoots.TimerSpec) { s.Duration = ptr(minoots.Duration(minoots.MaxHorizon + 1)) }},
		{"fireAt", "within 100 years", func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, at(now.Add(minoots.MaxHorizon+1)) }},
		{"fireAt", "in the past (now is 2026-11-23T09:00:00.000000Z)", func(s *minoots.TimerSpec) { late(s, nil) }},
		{"fireAt", "in the past", func(s *minoots.TimerSpec) { late(s, &minoots.Misfire{Policy: minoots.MisfireSkip, GraceMs: 59_999}) }},
		{"fireAt", "in the past", func(s *minoots.TimerSpec) { s.Duration, s.FireAt, s.Misfire = nil, at(now.AddDate(-99, 0, 0)), nil }},
		{"fireAt", "within 100 years", func(s *minoots.TimerSpec) { s.Duration, s.FireAt = nil, &minoots.Instant{} }}, // in the year 1
		{"name", "NUL", func(s *minoots.TimerSpec) { s.Name = "a\x00b" }},
		{"name", "valid UTF-8", func(s *minoots.TimerSpec) { s.Name = "a\xff" }},
		{"name", "at most 256 characters", func(s *minoots.TimerSpec) { s.Name = strings.Repeat("ä", 257) }},
		{"requestedBy", "NUL", func(s *minoots.TimerSpec) { s.RequestedBy = "\x00" }},
		{"requestedBy", "at most 256 characters", func(s *minoots.TimerSpec) { s.RequestedBy = strings.Repeat("x", 257) }},
		{"labels", "at most 64 pairs, not 65", func(s *minoots.TimerSpec) { s.Labels = labels(65) }},
		{"labels.", "must not be empty", func(s *minoots.TimerSpec) { s.Labels = map[string]string{"": "x"} }},
		{"labels.a:b", "nor contain ':'", func(s *minoots.TimerSpec) { s.Labels = map[string]string{"a:b": "x"} }},
		{`labels.a\0`, "NUL", func(s *minoots.TimerSpec) { s.Labels = map[string]string{"a\x00": "x"} }},
		{"labels.a", "NUL", func(s *minoots.TimerSpec) { s.Labels = map[string]string{"a": "\x00"} }},
		{"labels." + strings.Repeat("k", 40) + "…", "at most 64", func(s *minoots.TimerSpec) { s.Labels = map[string]string{strings.Repeat("k", 65): ""} }},
		{"labels.a", "at most 256", func(s *minoots.TimerSpec) { s.Labels = map[string]string{"a": strings.Repeat("x", 257)} }},
		{"jitterMs", "from 0 to 86400000", func(s *minoots.TimerSpec) { s.JitterMs = -1 }},
		{"jitterMs", "from 0 to 86400000", func(s *minoots.TimerSpec) { s.JitterMs = 86_400_001 }},
		{"misfire.policy", "fire_once, fire_all or skip", func(s *minoots.TimerSpec) { s.Misfire.Policy = "sometimes" }},
		{"misfire.graceMs", "from 0 to 31536000000 (a year)", func(s *minoots.TimerSpec) { s.Misfire.GraceMs = -1 }},
		{"misfire.graceMs", "from 0 to 31536000000 (a year)", func(s *minoots.TimerSpec) { s.Misfire.GraceMs = 365*86_400_000 + 1 }},
		{binding, "adapter and a target", func(s *minoots.TimerSpec) { s.AgentBinding.Adapter = "" }},
		{binding, "adapter and a target", func(s *minoots.TimerSpec) { s.AgentBinding.Target = "" }},
		{binding + ".adapter", "at most 64", func(s *minoots.TimerSpec) { s.AgentBinding.Adapter += "a" }},
		{binding + ".target", "at most 2048", func(s *minoots.TimerSpec) { s.AgentBinding.Target += "t" }},
		{binding + ".target", "NUL", func(s *minoots.TimerSpec) { s.AgentBinding.Target = "\x00" }},
		{binding + ".acknowledgementTimeoutMs", "(a week)", func(s *minoots.TimerSpec) { s.AgentBinding.AcknowledgementTimeoutMs = -1 }},
		{binding + ".acknowledgementTimeoutMs", "(a week)", func(s *minoots.TimerSpec) { s.AgentBinding.AcknowledgementTimeoutMs++ }},
		{"actionBundle.concurrency", "from 1 to 100", func(s *minoots.TimerSpec) { s.ActionBundle.Concurrency = -1 }},
		{"actionBundle.concurrency", "from 1 to 100", func(s *minoots.TimerSpec) { s.ActionBundle.Concurrency = 101 }},
		{"actionBundle.actions", "at most 100, not 101", func(s *minoots.TimerSpec) { s.ActionBundle.Actions = actions(101) }},
		{retry + "maxAttempts", "from 1 to 100", policy(minoots.RetryPolicy{MaxAttempts: -1})},
		{retry + "maxAttempts", "from 1 to 100", policy(minoots.RetryPolicy{MaxAttempts: 101})},
		{retry + "backoffInitialMs", "(a day)", policy(minoots.RetryPolicy{BackoffInitialMs: -1})},
		{retry + "backoffInitialMs", "(a day)", policy(minoots.RetryPolicy{BackoffInitialMs: 86_400_001})},
		{retry + "backoffMultiplier", "from 1 to 100", policy(minoots.RetryPolicy{BackoffMultiplier: 0.9})},
		{retry + "backoffMultiplier", "from 1 to 100", policy(minoots.RetryPolicy{BackoffMultiplier: 100.1})},
		{retry + "backoffMaxMs", "(a week)", policy(minoots.RetryPolicy{BackoffMaxMs: -1})},
		{retry + "backoffMaxMs", "(a week)", policy(minoots.RetryPolicy{BackoffMaxMs: 604_800_001})},
		{action + ".id", "1 to 64 of letters", firstAction(func(a *minoots.Action) { a.ID = "" })},
		{action + ".id", "1 to 64 of letters", firstAction(func(a *minoots.Action) { a.ID = "-x" })},
		{action + ".id", "1 to 64 of letters", firstAction(func(a *minoots.Action) { a.ID = "a b" })},
		{action + ".id", "1 to 64 of letters", firstAction(func(a *minoots.Action) { a.ID = "a\n" })},
		{action + ".id", "1 to 64 of letters", firstAction(func(a *minoots.Action) { a.ID = strings.Repeat("a", 65) })},
		{action + ".kind", "one of [webhook agent_prompt workflow_event command]", firstAction(func(a *minoots.Action) { a.Kind = "email" })},
		{action + ".retryPolicy.maxAttempts", "from 1 to 100", firstAction(func(a *minoots.Action) { a.RetryPolicy.MaxAttempts = 101 })},
		{action + ".escalation.afterAttempts", "from 1 to 100", escalates(func(e *minoots.Escalation) { e.AfterAttempts = 0 })},
		{action + ".escalation.afterAttempts", "from 1 to 100", escalates(func(e *minoots.Escalation) { e.AfterAttempts = 101 })},
		{action + ".escalation.escalatesTo", "must be an action", escalates(func(e *minoots.Escalation) { e.EscalatesTo = nil })},
		{action + ".escalation.escalatesTo.id", "twice in the bundle", escalates(func(e *minoots.Escalation) { e.EscalatesTo.ID = "wake" })},
		{action + ".escalation.escalatesTo.kind", "one of", escalates(func(e *minoots.Escalation) { e.EscalatesTo.Kind = "email" })},
		{action + strings.Repeat(".escalation.escalatesTo", 5) + ".escalation", "more than 5 deep", firstAction(func(a *minoots.Action) {
			for i := range minoots.MaxEscalations + 1 {
				a.Escalation = &minoots.Escalation{AfterAttempts: 1, EscalatesTo: &minoots.Action{ID: fmt.Sprint("e", i), Kind: minoots.KindWebhook}}
				a = a.Escalation.EscalatesTo
			}
		})},
		{"actionBundle.onFailure", "continue or stop", func(s *minoots.TimerSpec) { s.ActionBundle.OnFailure = "wait" }},
		{"actionBundle.compensation", "at most 100, not 101", func(s *minoots.TimerSpec) { s.ActionBundle.Compensation = actions(101) }},
		{"actionBundle.compensation[0].id", "twice in the bundle", func(s *minoots.TimerSpec) {
			s.ActionBundle.Compensation = []minoots.Action{{ID: "wake", Kind: minoots.KindWebhook}}
		}},
		{action + ".kind", "needs an agentBinding", func(s *minoots.TimerSpec) {
			s.AgentBinding, s.ActionBundle.Actions[0].Kind = nil, minoots.KindAgentPrompt
		}},
		{"misfire.maxLatenessMs", "from 0 to 31536000000 (a year)", func(s *minoots.TimerSpec) { s.Misfire.MaxLatenessMs = -1 }},
		{"actionBundle.actions[1].id", "twice in the bundle", func(s *minoots.TimerSpec) { s.ActionBundle.Actions[1].ID = "wake" }},
	} {
		s := good()
		s.ActionBundle.Actions[0].RetryPolicy = ptr(*s.ActionBundle.Actions[0].RetryPolicy)
		c.change(&s)
		fields := refused(t, s.Validate(now, minoots.Checks{}))
		assert.Len(t, fields, 1, "%s %s: nothing else is wrong", c.path, c.why)
		assert.Equal(t, c.path, fields[0].Path)
		assert.Contains(t, fields[0].Message, c.why)
	}
}

func refused(t *testing.T, err error) []minoots.FieldError {
	t.Helper()
	var e *minoots.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, minoots.CodeInvalid, e.Code)
	require.NotEmpty(t, e.Fields)
	return e.Fields
}

func TestValidateReportsAllMistakes(t *testing.T) {
	t.Parallel()
	s := good()
	s.Duration, s.Name, s.JitterMs = nil, "\x00", -1
	s.ActionBundle.Actions[0] = minoots.Action{}
	var paths []string
	for _, f := range refused(t, s.Validate(now, minoots.Checks{})) {
		paths = append(paths, f.Path)
	}
	assert.ElementsMatch(t, []string{"", "name", "jitterMs", "actionBundle.actions[0].id", "actionBundle.actions[0].kind"}, paths)
}

// The executor's package checks the parameters; its paths are placed in the body.
func TestValidateAsksAboutParameters(t *testing.T) {
	t.Parallel()
	s := good()
	s.ActionBundle.Actions[1].Parameters = json.RawMessage(`{"url":1}`)
	fields := refused(t, s.Validate(now, minoots.Checks{Parameters: func(kind minoots.ActionKind, parameters json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
		switch {
		case kind == minoots.KindWebhook:
			return nil
		case string(parameters) == `{"url":1}`:
			return []minoots.FieldError{{Path: "parameters.url", Message: "must be text, not 100%"}, {Path: "", Message: "not here"}}
		default:
			return []minoots.FieldError{{Path: "parameters", Message: "asked about others"}}
		}
	}}))
	assert.Equal(t, []minoots.FieldError{
		{Path: "actionBundle.actions[1].parameters.url", Message: "must be text, not 100%"},
		{Path: "actionBundle.actions[1]", Message: "not here"},
	}, fields)

	s.ActionBundle.Actions[1].Kind = "email"
	assert.Len(t, refused(t, s.Validate(now, minoots.Checks{Parameters: func(kind minoots.ActionKind, _ json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
		assert.NotEqual(t, minoots.ActionKind("email"), kind, "asked about a kind that does not exist")
		return nil
	}})), 1)
}
