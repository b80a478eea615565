package minoots

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const (
	// credentialMark begins every API key, so that a scanner for leaked secrets
	// knows one when it sees it.
	credentialMark = "mnt_"
	// credentialPrefix is how many characters of a key may be shown again.
	credentialPrefix = 12
)

// NewCredential makes an API key of 256 random bits: the secret, to be shown
// once, its prefix, by which people tell keys apart, and its hash, which is all
// that is kept.
func NewCredential() (secret, prefix string, hash []byte) {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	secret = credentialMark + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, secret[:credentialPrefix], HashCredential(secret)
}

// HashCredential is the SHA-256 of a key. It needs no salt and no slow function:
// nobody searches through 256 random bits.
func HashCredential(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
