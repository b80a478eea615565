package action

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"strconv"

	"github.com/minoots/minoots"
)

const targetPath = "agentBinding.target"

// templateContext gives what templates speak of: the "data" of a webhook's body,
// field by field, so that an agent and a webhook are told the same; metadata and
// labels once more, for short; and where to acknowledge.
func templateContext(p *payload, ack *minoots.Acknowledgement) (map[string]any, error) {
	raw, err := payloadDataEncoder.Append(nil, &p.Data)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // 9007199254740993 is a whole number, and stays one
	data := map[string]any{}
	if err := decoder.Decode(&data); err != nil {
		return nil, err
	}
	variables, _ := numbers(data).(map[string]any)
	timer, _ := variables["timer"].(map[string]any)
	variables["metadata"], variables["labels"] = timer["metadata"], timer["labels"]
	if _, ok := variables["cause"]; !ok {
		variables["cause"] = nil
	}
	variables["acknowledgement"] = nil
	if ack != nil {
		variables["acknowledgement"] = map[string]any{"url": ack.URL, "token": ack.Token, "deadline": ack.ExpiresAt.String()}
	}
	return variables, nil
}

// numbers turns JSON's numbers into what CEL computes with.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil && !math.IsInf(f, 0) {
			return f
		}
		return v.String()
	}
	return v
}

// object gives the template's result as a map, empty without a template.
func (c *call) object() (map[string]json.RawMessage, error) {
	o := map[string]json.RawMessage{}
	if len(c.input) == 0 {
		return o, nil
	}
	return o, json.Unmarshal(c.input, &o)
}

// put sets fields that are not set, so that the caller's own win.
func put(o map[string]json.RawMessage, name string, value any) error {
	if _, given := o[name]; given {
		return nil
	}
	raw, err := json.Marshal(value)
	o[name] = raw
	return err
}

// told gives the template's result with the prompt and the request for an
// acknowledgement, where there are any.
func (c *call) told() (map[string]json.RawMessage, error) {
	o, err := c.object()
	if err == nil && c.spec.Prompt != "" {
		err = put(o, "prompt", c.spec.Prompt)
	}
	if err == nil && c.d.Acknowledgement != nil {
		err = put(o, "acknowledgement", c.d.Acknowledgement)
	}
	return o, err
}

// labels is what is said of a delivery to services that keep flat metadata with a
// run: enough to find the timer by, and to drop repeats.
func (c *call) labels() map[string]string {
	m := map[string]string{
		"webhookId": c.d.WebhookID(), "timerId": c.d.Timer.ID.String(), "tenantId": c.d.TenantID, "timerName": c.d.Timer.Name,
		"occurrence": strconv.Itoa(c.d.Occurrence), "dueAt": c.d.DueAt.String(), "actionId": c.d.Action.ID, "attempt": strconv.Itoa(c.attempt),
	}
	if ack := c.d.Acknowledgement; ack != nil {
		maps.Copy(m, map[string]string{
			"acknowledgementUrl": ack.URL, "acknowledgementToken": ack.Token, "acknowledgementDeadline": ack.ExpiresAt.String(),
		})
	}
	return m
}

// metadata is the same for services whose metadata is JSON.
func (c *call) metadata() map[string]any {
	m := map[string]any{}
	for name, value := range c.labels() {
		m[name] = value
	}
	if ack := c.d.Acknowledgement; ack != nil {
		m["acknowledgement"] = ack
		delete(m, "acknowledgementUrl")
		delete(m, "acknowledgementToken")
		delete(m, "acknowledgementDeadline")
	}
	return m
}
