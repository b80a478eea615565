package action

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minoots/minoots"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// conformance is what the shared test needs to know about a kind. A new executor
// adds its line to conformances and must then keep what every one of them
// promises to the worker that calls it.
type conformance struct {
	good   func(t *testing.T) string // parameters that succeed, with the word s3cret wherever one can stand
	failed func(t *testing.T) string // that fail, and may be retried
	hangs  func(t *testing.T) string // that get no answer
	bad    []string                  // that do not validate
}

var conformances = map[minoots.ActionKind]conformance{
	minoots.KindWebhook: {
		good:   webhookTo(answering(http.StatusOK, strings.Repeat("long \xff\x00", 2000))),
		failed: webhookTo(answering(http.StatusServiceUnavailable, "later \xff\x00")),
		hangs:  webhookTo(hanging),
		bad:    []string{``, `null`, `7`, `[]`, `{`, `{"url": ""}`, `{"url": "http://127.0.0.1", "method": 7}`, `{"url": "http://s3cret:s3cret@127.0.0.1"}`},
	},
}

func webhookTo(handler http.HandlerFunc) func(*testing.T) string {
	return func(t *testing.T) string {
		return `{"url": "` + receiver(t, handler).URL + `?token=s3cret", "headers": {"Authorization": "s3cret"}, "body": "s3cret"}`
	}
}

func TestExecutorsConform(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Config{Secrets: fixedSecrets{[]byte("s3cret")}, Allow: loopback})
	t.Cleanup(registry.Close)
	require.NotEmpty(t, registry.Kinds())
	for _, kind := range registry.Kinds() {
		c, ok := conformances[kind]
		require.True(t, ok, "%s has no line in conformances", kind)
		t.Run(string(kind), func(t *testing.T) { c.run(t, registry, kind) })
	}
}

func (c conformance) run(t *testing.T, registry *Registry, kind minoots.ActionKind) {
	execute := func(ctx context.Context, t *testing.T, parameters string) minoots.Outcome {
		out := registry.Execute(ctx, testDelivery(kind, parameters), 1)
		requireWellFormed(t, out)
		return out
	}
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		parameters := c.good(t)
		assert.Empty(t, registry.Check(kind, json.RawMessage(parameters), nil))
		var wg sync.WaitGroup // one executor serves all workers
		for range 8 {
			wg.Go(func() {
				out := execute(t.Context(), t, parameters)
				assert.True(t, out.Success, out.Error)
			})
		}
		wg.Wait()
	})
	t.Run("failure", func(t *testing.T) {
		t.Parallel()
		out := execute(t.Context(), t, c.failed(t))
		assert.False(t, out.Success)
		assert.True(t, out.Retryable)
	})
	t.Run("bad parameters", func(t *testing.T) {
		t.Parallel()
		for _, parameters := range c.bad {
			bad := registry.Check(kind, json.RawMessage(parameters), nil)
			assert.NotEmpty(t, bad, parameters)
			for _, f := range bad {
				assert.True(t, f.Path == "parameters" || strings.HasPrefix(f.Path, "parameters."), f.Path)
				assert.NotContains(t, f.Message, "s3cret")
			}
			out := execute(t.Context(), t, parameters)
			assert.Equal(t, ClassParameters, out.ErrorClass)
			assert.False(t, out.Retryable, "they will not get better")
		}
	})
	t.Run("unknown parameter", func(t *testing.T) {
		t.Parallel()
		parameters := strings.Replace(c.good(t), "{", `{"nonsense": 1, `, 1)
		bad := registry.Check(kind, json.RawMessage(parameters), nil)
		require.Len(t, bad, 1)
		assert.Equal(t, "parameters.nonsense", bad[0].Path)
	})
	t.Run("shutdown", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out := execute(ctx, t, c.hangs(t))
		assert.Equal(t, ClassCancelled, out.ErrorClass)
		assert.True(t, out.Retryable, "another replica will do it")
	})
}

// requireWellFormed holds an outcome to what the recorder stores without looking.
func requireWellFormed(t *testing.T, out minoots.Outcome) {
	t.Helper()
	assert.False(t, out.StartedAt.IsZero() || out.FinishedAt.Before(out.StartedAt))
	assert.LessOrEqual(t, len(out.Response), minoots.MaxResponseCapture)
	assert.True(t, utf8.Valid(out.Response) && !strings.Contains(string(out.Response), "\x00"), "Postgres text")
	assert.GreaterOrEqual(t, out.RetryAfter, time.Duration(0))
	if out.Success {
		assert.Empty(t, out.ErrorClass+out.Error)
		return
	}
	_, known := retriedClass[out.ErrorClass]
	assert.True(t, known || out.ErrorClass == ClassHTTPStatus, "class %q is not in the table", out.ErrorClass)
	assert.NotEmpty(t, out.Error)
	assert.NotContains(t, out.Error, "s3cret")
	assert.NotContains(t, out.Error, "\n")
}

func TestRegistryRefusesKindsItDoesNotHave(t *testing.T) {
	t.Parallel()
	registry := NewRegistry(Config{})
	assert.Equal(t, []minoots.FieldError{{Path: "kind", Message: `"carrier_pigeon" actions are not available in this version`}},
		registry.Check("carrier_pigeon", nil, nil))
	out := registry.Execute(t.Context(), testDelivery("carrier_pigeon", `{}`), 1)
	requireWellFormed(t, out)
	assert.Equal(t, ClassUnavailable, out.ErrorClass)
	assert.True(t, out.Retryable, "a replica of another version may know it")
}
