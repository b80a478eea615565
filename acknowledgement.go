package minoots

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
)

const (
	// acknowledgementMark begins every token, so that a scanner for leaked secrets
	// knows one when it sees it.
	acknowledgementMark = "mna_"
	acknowledgementText = len(acknowledgementMark) + 43 // base64 of 32 bytes
)

// NewAcknowledgementToken makes a token of 256 random bits. Only its hash, by
// HashCredential, is kept.
func NewAcknowledgementToken() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return acknowledgementMark + base64.RawURLEncoding.EncodeToString(random[:])
}

// IsAcknowledgementToken tells whether a text looks like a token at all.
func IsAcknowledgementToken(text string) bool {
	return len(text) == acknowledgementText && strings.HasPrefix(text, acknowledgementMark)
}

// AcknowledgementStatus is an agent's word on a delivery.
type AcknowledgementStatus string

// An agent acknowledges once: that it has done what it was asked, or that it
// could not, which is a failed attempt.
const (
	AcknowledgementSucceeded AcknowledgementStatus = "succeeded"
	AcknowledgementFailed    AcknowledgementStatus = "failed"
)

// AcknowledgementReceipt is what an agent gets back.
type AcknowledgementReceipt struct {
	TimerID        ID                    `json:"timerId"`
	Occurrence     int                   `json:"occurrence"`
	ActionID       string                `json:"actionId"`
	Attempt        int                   `json:"attempt"`
	Status         AcknowledgementStatus `json:"status" enum:"succeeded,failed"`
	AcknowledgedAt Instant               `json:"acknowledgedAt"`
}

// Heartbeat is what an agent gets back that asked for more time.
type Heartbeat struct {
	TimerID    ID      `json:"timerId"`
	Occurrence int     `json:"occurrence"`
	ActionID   string  `json:"actionId"`
	Attempt    int     `json:"attempt"`
	ExpiresAt  Instant `json:"expiresAt" doc:"When the acknowledgement must be there."`
	LatestAt   Instant `json:"latestAt" doc:"Past it no heartbeat puts that."`
}

// AwaitedAcknowledgement is a delivery that its agent has got and not yet
// acknowledged.
type AwaitedAcknowledgement struct {
	ActionID    string   `json:"actionId"`
	Attempt     int      `json:"attempt"`
	StartedAt   Instant  `json:"startedAt" doc:"When the attempt began."`
	ExpiresAt   Instant  `json:"expiresAt" doc:"When it counts as failed."`
	HeartbeatAt *Instant `json:"heartbeatAt"`
	Progress    *string  `json:"progress" doc:"The agent's last word on how far it is."`
}
