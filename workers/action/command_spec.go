package action

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

// The limits of a command's parameters.
const (
	maxArgs        = 100
	maxArg         = 32 << 10 // bytes
	maxStdin       = 64 << 10 // bytes: what a pipe takes, whether it is read or not
	maxMetadataEnv = 32 << 10 // bytes: Linux takes 128 KiB in one variable
)

// commandSpec is the parameters of a command.
type commandSpec struct {
	Program   string   `json:"program"`
	Args      []string `json:"args"`
	Stdin     string   `json:"stdin"`
	TimeoutMs int64    `json:"timeoutMs"`
}

var commandParameters = jsonNames(reflect.TypeFor[commandSpec]())

func (s *commandSpec) timeout() time.Duration { return time.Duration(s.TimeoutMs) * time.Millisecond }

func parseCommand(parameters json.RawMessage) (*commandSpec, problems) {
	var bad problems
	s := &commandSpec{TimeoutMs: defaultTimeout.Milliseconds()}
	if len(parameters) > 0 {
		if err := json.Unmarshal(parameters, s); err != nil {
			return nil, problems{jsonProblem(err)}
		}
	}
	switch {
	case s.Program == "":
		bad.add("program", "is required: the absolute path of a program that the operator allows")
	case !filepath.IsAbs(s.Program):
		bad.add("program", "must be an absolute path: no shell and no PATH look for it")
	}
	if len(s.Args) > maxArgs {
		bad.add("args", "must be at most %d, not %d", maxArgs, len(s.Args))
	}
	for i, arg := range s.Args {
		switch {
		case strings.ContainsRune(arg, 0):
			bad.add(fmt.Sprintf("args[%d]", i), "must not contain the NUL character")
		case len(arg) > maxArg:
			bad.add(fmt.Sprintf("args[%d]", i), "must be at most %d bytes", maxArg)
		}
	}
	if len(s.Stdin) > maxStdin {
		bad.add("stdin", "must be at most %d bytes", maxStdin)
	}
	checkTimeout(&bad, s.TimeoutMs)
	return s, bad
}

// Check implements Executor.
func (c *Command) Check(parameters json.RawMessage, _ *minoots.AgentBinding) []minoots.FieldError {
	spec, bad := parseCommand(parameters)
	bad.addUnknown(parameters, commandParameters)
	if len(bad) == 0 && !slices.Contains(c.allowed, spec.Program) {
		// The list is not told: which programs a machine has is the operator's matter.
		bad.add("program", "is not one of the programs that the operator allows (MINOOTS_COMMAND_ALLOW)")
	}
	return bad
}

// commandEnv is the whole environment of a command.
func commandEnv(d *minoots.Delivery, attempt int) []string {
	env := []string{
		"TIMER_ID=" + d.Timer.ID.String(),
		"TIMER_TENANT_ID=" + d.TenantID,
		"TIMER_NAME=" + d.Timer.Name,
		"TIMER_REQUESTED_BY=" + d.Timer.RequestedBy,
		"TIMER_OCCURRENCE=" + strconv.Itoa(d.Occurrence),
		"TIMER_DUE_AT=" + d.DueAt.String(),
		"TIMER_FIRED_AT=" + d.FiredAt.String(),
		"TIMER_ACTION_ID=" + d.Action.ID,
		"TIMER_ATTEMPT=" + strconv.Itoa(attempt),
		"TIMER_WEBHOOK_ID=" + d.WebhookID(),
		"TIMER_TRACEPARENT=" + traceParent(d.WebhookID()),
	}
	if n := len(d.Timer.Metadata); n > 0 && n <= maxMetadataEnv {
		env = append(env, "TIMER_METADATA="+string(d.Timer.Metadata))
	}
	if labels, err := json.Marshal(d.Timer.Labels); err == nil && len(d.Timer.Labels) > 0 && len(labels) <= maxMetadataEnv {
		env = append(env, "TIMER_LABELS="+string(labels))
	}
	return env
}
