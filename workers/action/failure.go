package action

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"

	"code.dny.dev/ssrf"
	"github.com/minoots/minoots"
)

// The error classes: short words that reports group by and alerts match on.
// They are public and only ever grow. Which of them are retried is in retry.go.
const (
	ClassTimeout       = "timeout"        // no connection or no answer in time
	ClassRefused       = "refused"        // nothing listens on the port
	ClassReset         = "reset"          // the connection ended before the answer began
	ClassUnreachable   = "unreachable"    // no route, no socket, or no address that may be dialled answers
	ClassDNS           = "dns"            // the host name does not resolve
	ClassTLS           = "tls"            // no handshake, or a certificate that does not verify
	ClassProtocol      = "protocol"       // what came back is not HTTP, or its header is too large
	ClassAddressDenied = "address_denied" // the host resolves to addresses that may not be dialled
	ClassRedirect      = "redirect"       // 3xx: redirects are not followed
	ClassHTTPStatus    = "http_status"    // an answer that is neither 2xx nor 3xx
	ClassSigning       = "signing"        // no signing secret could be had, so nothing was sent
	ClassParameters    = "parameters"     // the stored parameters do not validate, so nothing was sent
	ClassUnavailable   = "unavailable"    // this process has no executor for the kind
	ClassAborted       = "aborted"        // the receiver failed, and asked for no more attempts
	ClassCancelled     = "cancelled"      // this process is shutting down; says nothing about the receiver

	ClassTemplate      = "template"       // agentBinding.payloadTemplate cannot be evaluated over this firing
	ClassAgent         = "agent_error"    // the agent's service answered, and said that the run failed
	ClassTool          = "tool_error"     // the MCP tool ran and reported an error
	ClassRPC           = "rpc_error"      // the MCP server answered with an error of its own
	ClassRPCRefused    = "rpc_refused"    // the MCP server does not know the tool, or refuses the arguments
	ClassNoStream      = "no_stream"      // NATS is there, and no JetStream stream takes the subject
	ClassBroker        = "broker"         // JetStream refused the message
	ClassExec          = "exec"           // the program could not be started
	ClassExitCode      = "exit_code"      // the program ended with another exit code than 0, or by a signal
	ClassCommandDenied = "command_denied" // this process's list of programs does not have it
)

// errorTextLimit bounds Outcome.Error, in runes: it is one line in a table.
const errorTextLimit = 300

// failure is why an attempt did not succeed. Its text is ours, in full or nearly
// so: the text of a Go network error may name the resolver's address, the
// internal address behind a name, the URL's query or bytes that the receiver
// chose, and none of that is for the tenant's eyes.
type failure struct {
	class string
	text  string
}

// report writes the failure into an outcome.
func (f failure) report(out *minoots.Outcome) {
	out.Success = false
	out.ErrorClass = f.class
	out.Error = oneLine(f.text)
	out.Retryable = retryable(f.class, out.HTTPStatus)
}

// failureOf classifies the error of a round trip. Two contexts tell what ended
// it: attempt, whose deadline is the action's timeout, and its parent caller,
// which only a shutdown cancels.
func failureOf(caller, attempt context.Context, err error, limit time.Duration) failure {
	var (
		lookup   *net.DNSError
		op       *net.OpError
		timeout  net.Error
		isLookup = errors.As(err, &lookup)
		isOp     = errors.As(err, &op)
	)
	switch {
	case errors.Is(caller.Err(), context.Canceled):
		return failure{ClassCancelled, "cut short because this process is shutting down"}
	case attempt.Err() != nil:
		return failure{ClassTimeout, fmt.Sprintf("no answer within %s", limit)}
	case denied(err):
		return failure{ClassAddressDenied, "the host resolves to an address that webhooks may not reach (private, loopback or reserved)"}
	case isLookup:
		return failure{ClassDNS, fmt.Sprintf("the host name %q could not be resolved: %s", lookup.Name, lookupCause(lookup))}
	case errors.As(err, &timeout) && timeout.Timeout():
		return failure{ClassTimeout, "no connection in time"}
	case isTLS(err, op):
		return failure{ClassTLS, tlsCause(err)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure{ClassRefused, "connection refused: nothing listens on that port"}
	case isOp && op.Op == "dial", errors.Is(err, errNoAllowedAddress):
		return failure{ClassUnreachable, "no connection could be made"}
	case isOp, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return failure{ClassReset, "the receiver closed the connection before it answered"}
	default:
		return failure{ClassProtocol, "the answer is not valid HTTP, or its header is too large"}
	}
}

// failureOfAnswer classifies the error of reading an answer that had to be looked
// into.
func failureOfAnswer(caller, attempt context.Context, err error, limit time.Duration) failure {
	if errors.Is(err, errAnswerTooLarge) {
		return failure{ClassProtocol, fmt.Sprintf("the answer is larger than %d bytes", wholeLimit)}
	}
	return failureOf(caller, attempt, err, limit)
}

// denied tells whether the guard refused to dial.
func denied(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) ||
		errors.Is(err, ssrf.ErrProhibitedNetwork) ||
		errors.Is(err, ssrf.ErrInvalidHostPort)
}

// lookupCause puts a resolver's error in words without its text, which holds
// the resolver's own address.
func lookupCause(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "no such host"
	case err.IsTimeout:
		return "the resolver did not answer in time"
	default:
		return "the resolver failed"
	}
}

// isTLS tells a failed handshake from other errors. crypto/tls exports types
// for certificates and for answers that are no TLS; its alerts come as the Op of
// a net.OpError, and the rest can only be told by the prefix of their text.
func isTLS(err error, op *net.OpError) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) ||
		op != nil && (op.Op == "remote error" || op.Op == "local error") ||
		strings.HasPrefix(err.Error(), "tls: ")
}

// tlsCause keeps the library's own words: they speak of certificates and
// protocol versions, which are public, and nobody mends a certificate without.
func tlsCause(err error) string {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return "the certificate does not verify: " + certificate.Err.Error()
	}
	return "TLS handshake failed: " + err.Error()
}

// oneLine makes text fit for a log line, a table cell and Postgres: valid UTF-8,
// no control characters, at most errorTextLimit runes.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= errorTextLimit {
		return text
	}
	if runes := []rune(text); len(runes) > errorTextLimit {
		return string(runes[:errorTextLimit-1]) + "…"
	}
	return text
}
