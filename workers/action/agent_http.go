package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minoots/minoots"
)

// verdict reads a 2xx answer's body.
type verdict = func(body []byte) failure

// message makes the request of an adapter that needs but one.
func (c *call) message(adapter string) (*message, verdict, failure) {
	var (
		path   string
		body   any
		err    error
		judged verdict
	)
	switch adapter {
	case minoots.AdapterLangChain:
		if c.spec.API == apiLangServe {
			path, body, err = c.langServe()
		} else {
			path, body, err = c.langGraph()
			judged = judgeLangGraph
		}
	case minoots.AdapterAutoGen:
		if c.spec.API == apiStudio {
			return c.studio()
		}
		body, err = c.chat()
	default:
		body, err = c.custom()
	}
	if err != nil {
		return nil, nil, notJSON
	}
	m := envelope(c.d, c.attempt, http.MethodPost, below(c.spec.target, path), c.spec.Headers)
	if m.body, err = json.Marshal(body); err != nil {
		return nil, nil, notJSON
	}
	return m, judged, failure{}
}

var notJSON = failure{ClassParameters, "the delivery cannot be written as JSON"}

// below appends a path that needs no escaping.
func below(target *url.URL, path string) *url.URL {
	if path == "" {
		return target
	}
	rooted := *target
	if rooted.Path == "" {
		rooted.Path = "/" // JoinPath would make a relative path of none
	}
	return rooted.JoinPath(path)
}

// custom is the template's result or, without a template, a webhook's body; with
// the prompt and the acknowledgement beside it.
func (c *call) custom() (any, error) {
	told, err := c.told()
	if err == nil && len(c.input) == 0 {
		err = errors.Join(put(told, "type", c.payload.Type), put(told, "timestamp", c.payload.Timestamp), put(told, "data", c.payload.Data))
	}
	return told, err
}

// langServe invokes a runnable: POST /invoke of LangServe's API. The input is the
// template's result, else the prompt, else the firing.
func (c *call) langServe() (path string, body any, err error) {
	var input any
	switch {
	case len(c.input) > 0:
		input, err = c.told()
	case c.spec.Prompt != "":
		input = c.spec.Prompt
	default:
		input = c.payload.Data
	}
	return "invoke", map[string]any{
		"input":  input,
		"config": map[string]any{"run_name": "minoots/" + c.d.Action.ID, "tags": []string{"minoots"}, "metadata": c.metadata()},
		"kwargs": map[string]any{},
	}, err
}

// langGraph begins a run on LangGraph's platform: POST /runs, or of a thread. It
// succeeds when the run has been taken on or, with wait, when it has ended well.
// There is no key by which the platform would drop repeats: the graph finds
// webhookId in the metadata.
func (c *call) langGraph() (path string, body any, err error) {
	request := map[string]any{"assistant_id": c.spec.AssistantID, "metadata": c.metadata()}
	input := map[string]any{}
	told, err := c.object()
	for name, value := range told {
		input[name] = value
	}
	if _, given := input["messages"]; !given && c.spec.Prompt != "" {
		input["messages"] = []any{map[string]string{"role": "user", "content": c.spec.Prompt}}
	}
	if len(input) == 0 {
		request["input"] = c.payload.Data
	} else {
		request["input"] = input
	}
	path = "runs"
	if c.spec.ThreadID != "" {
		path = "threads/" + c.spec.ThreadID + "/runs"
		// A thread that does not exist yet is no failure, and one that is busy
		// takes the run next.
		request["if_not_exists"], request["multitask_strategy"] = "create", "enqueue"
	}
	if c.spec.Wait {
		path += "/wait"
		// Who gives up waiting asks again: not beside the run that it gave up.
		request["on_disconnect"] = "cancel"
	}
	return path, request, err
}

// judgeLangGraph finds the error that a run which was waited for ended with: the
// platform reports it in an answer of 200.
func judgeLangGraph(body []byte) failure {
	var answer struct {
		Error json.RawMessage `json:"__error__"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Error) > 0 && !isNull(answer.Error) {
		return failure{ClassAgent, "the run ended with an error, which the answer tells"}
	}
	return failure{}
}

// task is what an AutoGen agent gets: words. The template's result follows the
// prompt as JSON.
func (c *call) task() (string, error) {
	if len(c.input) == 0 {
		return c.spec.Prompt, nil
	}
	told, err := c.object()
	if err == nil && c.d.Acknowledgement != nil {
		err = put(told, "acknowledgement", c.d.Acknowledgement)
	}
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(told)
	if c.spec.Prompt == "" {
		return string(raw), err
	}
	return c.spec.Prompt + "\n\n" + string(raw), err
}

// chat is a TextMessage of AutoGen's AgentChat, which is what its FastAPI service
// takes. Its metadata holds texts only.
func (c *call) chat() (any, error) {
	task, err := c.task()
	return map[string]any{"type": "TextMessage", "source": "minoots", "content": task, "metadata": c.labels()}, err
}

// maxStudioTask bounds a task that travels in a URL, escaped: servers cut request
// lines at 16 KiB and less.
const maxStudioTask = 8 << 10

// studio asks a team that AutoGen Studio serves: GET /predict/{task}, or
// /predict_team/{team}/{task}.
func (c *call) studio() (*message, verdict, failure) {
	task, err := c.task()
	if err != nil {
		return nil, nil, notJSON
	}
	// Studio's router splits the path after it has been unescaped. In JSON, a slash
	// has another way to be written.
	if at := len(c.spec.Prompt); len(c.input) > 0 {
		task = task[:at] + strings.ReplaceAll(task[at:], "/", `\u002f`)
	}
	escaped := url.PathEscape(task)
	if len(escaped) > maxStudioTask {
		return nil, nil, failure{ClassParameters, fmt.Sprintf(
			"the task is %d bytes in the URL, and AutoGen Studio gets it there: at most %d; the chat api takes more", len(escaped), maxStudioTask)}
	}
	base := "predict"
	if c.spec.Team != "" {
		base = "predict_team/" + c.spec.Team
	}
	target := below(c.spec.target, base)
	target.Path, target.RawPath = target.Path+"/"+task, target.EscapedPath()+"/"+escaped
	return envelope(c.d, c.attempt, http.MethodGet, target, c.spec.Headers), judgeStudio, failure{}
}

// judgeStudio reads the verdict of Studio, which answers 200 to everything.
func judgeStudio(body []byte) failure {
	var answer struct {
		Status *bool `json:"status"`
	}
	switch err := json.Unmarshal(bytes.TrimSpace(body), &answer); {
	case err != nil || answer.Status == nil:
		return failure{ClassProtocol, "the answer is not AutoGen Studio's: want a JSON object with a status"}
	case !*answer.Status:
		return failure{ClassAgent, "the team's run failed, as the answer tells"}
	default:
		return failure{}
	}
}
