package action

import (
	"context"
	"net/http"
	"time"

	"github.com/minoots/minoots"
)

// sender makes signed HTTP exchanges, for every kind of action that speaks HTTP:
// one connection pool, one guard, one way to sign and to judge.
type sender struct {
	secrets   Secrets
	guard     *guard
	transport *http.Transport
	lines     *linePool
	http2     http2Origins
	userAgent []string
	now       func() time.Time
}

// newSender builds the connection pool. It dials nothing.
func newSender(config Config) *sender {
	config = config.withDefaults()
	guard := newGuard(config.Allow)
	transport := newTransport(guard, config.Concurrency)
	return &sender{
		secrets:   config.Secrets,
		guard:     guard,
		transport: transport,
		lines:     newLinePool(newLineDialer(guard, transport).open, config.Concurrency, transport.MaxIdleConns),
		userAgent: []string{"minoots/" + config.Version},
		now:       config.Now,
	}
}

// Close closes the idle connections.
func (s *sender) Close() {
	s.lines.close()
	s.transport.CloseIdleConnections()
}

// send makes one exchange and writes what the receiver said into out. The zero
// failure means success. verdict, if there is one, reads a 2xx answer's body, for
// protocols that report failures in it.
func (s *sender) send(caller context.Context, m *message, limit time.Duration, verdict func(body []byte) failure, out *minoots.Outcome) failure {
	// One deadline for all of it, from asking for the secrets to the answer's last
	// byte: a receiver that answers byte by byte cannot hold a worker any longer.
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()

	secrets, failed := s.liveSecrets(caller, ctx, m.tenantID)
	if failed.class != "" {
		return failed
	}
	answer, err := s.exchange(ctx, m, secrets) //nolint:bodyclose // readAnswer and readWhole close it
	if err != nil {
		return failureOf(caller, ctx, err, limit)
	}
	out.HTTPStatus = answer.StatusCode
	failed = aborted(judge(answer.StatusCode), answer.Header)
	if failed.class == "" && verdict != nil {
		body, err := readWhole(answer)
		out.Response = capture(body)
		if err != nil {
			return failureOfAnswer(caller, ctx, err, limit)
		}
		return verdict(body)
	}
	out.Response = readAnswer(answer)
	if failed.class != "" { // also one that only the policy retries
		out.RetryAfter = ParseRetryAfter(answer.Header.Get("Retry-After"), s.now())
	}
	return failed
}

// run makes an attempt and sets its times. What it took is measured by the
// monotonic clock: the one that receivers are told may be set in between.
func run(now func() time.Time, attempt func(out *minoots.Outcome) failure) minoots.Outcome {
	began := time.Now()
	out := minoots.Outcome{StartedAt: now()}
	if failed := attempt(&out); failed.class != "" {
		failed.report(&out)
	} else {
		out.Success = true
	}
	out.FinishedAt = out.StartedAt.Add(time.Since(began))
	return out
}
