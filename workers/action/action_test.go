package action

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/minoots/minoots"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A proxy that is not there, for all tests: a delivery that took notice of the
	// environment would fail. (net/http itself exempts loopback addresses, so the
	// proof is in the tests that use the name receiver.test.)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// fixedSecrets are the live secrets of every tenant.
type fixedSecrets [][]byte

func (s fixedSecrets) Live(context.Context, string) ([][]byte, error) { return s, nil }

// testDelivery is an action with all that a delivery can have.
func testDelivery(kind minoots.ActionKind, parameters string) minoots.Delivery {
	due := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	id, _ := minoots.ParseID("01890a5d-ac96-774b-bcce-b302099a8057")
	return minoots.Delivery{
		TenantID: "acme",
		Timer: minoots.DeliveryTimer{
			ID: id, Name: "resume-research", RequestedBy: "agent:planner",
			Labels: map[string]string{"session": "s-17"}, Metadata: minoots.RawJSON(`{"step": 3}`),
		},
		Occurrence: 1,
		DueAt:      minoots.InstantOf(due),
		FiredAt:    minoots.InstantOf(due.Add(3100 * time.Microsecond)),
		Action:     minoots.Action{ID: "wake", Kind: kind, Parameters: json.RawMessage(parameters)},
		Policy:     minoots.DefaultRetryPolicy,
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	for parameters, want := range map[string]time.Duration{
		"":                         10 * time.Second,
		`{}`:                       10 * time.Second,
		`{"timeoutMs": 1500}`:      1500 * time.Millisecond,
		`{"timeoutMs": 300000}`:    5 * time.Minute,
		`{"timeoutMs": 999999999}`: 5 * time.Minute,
		`{"timeoutMs": -1}`:        10 * time.Second,
		`{"timeoutMs": "soon"}`:    10 * time.Second,
	} {
		if got := Timeout(minoots.Action{Parameters: []byte(parameters)}); got != want {
			t.Errorf("%s: %s, want %s", parameters, got, want)
		}
	}
}
