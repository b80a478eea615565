package demo

import (
	"bytes"
	"io/fs"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/examples"
)

const timer = "01890a5d-ac96-774b-bcce-b302099a8057"

const body = `{"type":"timer.fired","timestamp":"2026-11-23T09:00:00.000000Z","data":{"timer":{"id":"` + timer +
	`","tenantId":"t"},"firing":{"occurrence":1,"dueAt":"2026-11-23T09:00:00.000000Z"},"action":{"id":"a"},"attempt":1}}`

func TestReceiver(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	r, err := newReceiver(t.Context(), [][]byte{[]byte("another live secret of 32 bytes."), secret}, func() time.Time { return due })
	require.NoError(t, err)
	defer r.close(t.Context())
	signer, err := standardwebhooks.NewWebhookRaw(secret)
	require.NoError(t, err)

	send := func(id, path, sent, signed string, header ...string) int {
		now := time.Now()
		signature, err := signer.Sign(id, now, []byte(signed))
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, bytes.NewReader([]byte(sent)))
		require.NoError(t, err)
		for name, value := range map[string]string{
			"webhook-id": id, "webhook-timestamp": strconv.FormatInt(now.Unix(), 10), "webhook-signature": signature,
			"x-minoots-timer-id": timer, "x-minoots-tenant-id": "t", "x-minoots-attempt": "1",
		} {
			req.Header.Set(name, value)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	last := func() arrival { got := r.got(); return got[len(got)-1] }

	id, err := minoots.ParseID(timer)
	require.NoError(t, err)
	r.refuse(id, 1)
	require.Equal(t, 503, send("w1", "/x", body, body))
	require.Equal(t, arrival{webhookID: "w1", timer: id, attempt: 1, at: due, dueAt: due}, last())
	require.Equal(t, 204, send("w1", "/x", body, body))
	require.True(t, last().accepted)

	require.Equal(t, 401, send("w2", "/x", body, body+" "), "tampered with")
	require.True(t, last().badSign)
	require.False(t, last().accepted)

	send("w3", "/x", body, body, "x-minoots-attempt", "2")
	require.NotEmpty(t, last().fault, "headers and body differ")
	send("w4", "/x", "{}", "{}")
	require.NotEmpty(t, last().fault, "not the contract's body")
	send("w5", "/x", body, body, "x-minoots-timer-id", "nonsense")
	require.NotEmpty(t, last().fault, "no timer id")
	send("w6", "/prices/sku-9", body, body)
	require.NotEmpty(t, last().fault, "not the request that was described")
}

// Every example must be a timer that the service accepts, and the plan must keep
// what issue 2 promises of the demo.
func TestPlan(t *testing.T) {
	t.Parallel()
	start := time.Now()
	total, burst := 0, 0
	names := map[string]bool{}
	for _, s := range plan {
		specs, err := s.specs("http://127.0.0.1:1", "run", start)
		require.NoError(t, err, s.file)
		total += len(specs)
		instants := map[time.Time]int{}
		for _, spec := range specs {
			require.NoError(t, spec.Validate(start, minoots.Checks{}), s.file)
			require.Equal(t, "run", spec.Labels[label])
			names[spec.Name] = true
			if spec.FireAt != nil {
				instants[spec.FireAt.Time]++
				burst = max(burst, instants[spec.FireAt.Time])
			}
		}
	}
	files, err := fs.Glob(examples.FS, "*.json")
	require.NoError(t, err)
	require.Len(t, files, len(plan), "every example is in the plan")
	require.GreaterOrEqual(t, total, 300)
	require.Equal(t, 200, burst)
	require.Len(t, names, len(plan))
}
