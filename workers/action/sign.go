package action

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"

	"github.com/minoots/minoots"
)

// Secrets gives a tenant's live signing secrets as raw bytes, the newest first:
// one, or two while a secret is being rotated. It is asked on every attempt and
// is expected to remember for a few seconds.
type Secrets interface {
	Live(ctx context.Context, tenantID string) ([][]byte, error)
}

// liveSecrets asks for what to sign with. Nothing is sent unsigned: receivers
// are told that every webhook is signed, and one that accepts both is open to
// anybody.
func (s *sender) liveSecrets(caller, attempt context.Context, tenantID string) ([][]byte, failure) {
	if s.secrets == nil {
		return nil, failure{ClassSigning, "this process has no signing secrets"}
	}
	secrets, err := s.secrets.Live(attempt, tenantID)
	switch {
	case err != nil && errors.Is(caller.Err(), context.Canceled):
		return nil, failureOf(caller, attempt, err, 0)
	case err != nil: // its text is an operator's matter
		return nil, failure{ClassSigning, "the tenant's signing secrets could not be read"}
	case len(secrets) == 0:
		return nil, failure{ClassSigning, "the tenant has no live signing secret"}
	}
	for _, secret := range secrets {
		if len(secret) == 0 { // HMAC takes an empty key, and so could anybody
			return nil, failure{ClassSigning, "a signing secret of the tenant is empty"}
		}
	}
	return secrets, failure{}
}

// sign gives the Standard Webhooks signature: "v1," and the base64 of
// HMAC-SHA256 over id, timestamp and body joined by dots, once for each live
// secret, so that a receiver verifies by the old or the new one while they
// change over.
func sign(secrets [][]byte, id, timestamp string, body []byte) string {
	prefix := make([]byte, 0, 128)
	prefix = append(append(append(append(prefix, id...), '.'), timestamp...), '.')
	const size = len("v1, ") + (sha256.Size+2)/3*4
	out := make([]byte, 0, size*len(secrets))
	var sum [sha256.Size]byte
	for i, secret := range secrets {
		if i > 0 {
			out = append(out, ' ')
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(prefix)
		mac.Write(body)
		out = base64.StdEncoding.AppendEncode(append(out, "v1,"...), mac.Sum(sum[:0]))
	}
	return string(out)
}

// traceParent makes the W3C trace context of an attempt. The trace id is a hash
// of webhook-id, so that all attempts of a delivery stand in one trace whichever
// replica makes them; the span id is new each time. The trace is marked as
// sampled: a receiver that follows its parent's wish would otherwise never record
// what a timer sets off.
func traceParent(webhookID string) string {
	trace := minoots.TraceID(webhookID)
	var span [8]byte
	binary.BigEndian.PutUint64(span[:], rand.Uint64()|1) // all zeros is not a valid span
	out := make([]byte, 0, len("00-")+32+len("-")+16+len("-01"))
	out = hex.AppendEncode(append(out, "00-"...), trace[:])
	out = hex.AppendEncode(append(out, '-'), span[:])
	return string(append(out, "-01"...))
}
