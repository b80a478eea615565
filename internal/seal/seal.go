// Package seal encrypts small secrets at rest with an operator's key:
// AES-256-GCM, with a random nonce for each, bound to what the secret is of.
//
// A sealed secret names its key by an id that follows from the key, so that a
// ring of several keys can open what any of them has sealed. Keys are changed by
// putting a new one first and sealing anew at leisure.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeyBytes is the length of a key, for AES-256.
const KeyBytes = 32

// format is the first byte of what Seal gives: nonce, ciphertext and tag follow.
const format = 1

var (
	// ErrUnknownKey says that the ring lacks the key that sealed it.
	ErrUnknownKey = errors.New("sealed with a key that is not in the ring")
	// ErrBroken says that it was changed, cut, or is of something else.
	ErrBroken = errors.New("does not open: it was changed, or belongs to something else")
)

// Ring is the keys that open, the first of which seals. The nil Ring has none: it
// opens nothing. However it is printed, only the ids of its keys show.
type Ring struct{ keys []key }

type key struct {
	id   string
	aead cipher.AEAD
}

// NewKey makes a key in the form in which it is set: base64 of 32 random bytes.
func NewKey() string {
	random := make([]byte, KeyBytes)
	_, _ = rand.Read(random) // never fails
	return base64.StdEncoding.EncodeToString(random)
}

// Parse reads keys, one or more, apart by commas or white space. Its errors say
// which key is wrong and how, and never repeat any of it.
func Parse(text string) (*Ring, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(words) == 0 {
		return nil, errors.New("holds no key: want base64 of 32 random bytes")
	}
	ring := &Ring{}
	for i, word := range words {
		raw, err := decode(word)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d is not base64: want base64 of 32 random bytes", i+1, len(words))
		}
		if len(raw) != KeyBytes {
			return nil, fmt.Errorf("key %d of %d has %d bytes: want base64 of 32 random bytes", i+1, len(words), len(raw))
		}
		if slices.Max(raw) == slices.Min(raw) {
			return nil, fmt.Errorf("key %d of %d is one byte over and over: want base64 of 32 random bytes", i+1, len(words))
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, err
		}
		if ring.find(k.id) != nil {
			return nil, fmt.Errorf("key %d of %d is there twice", i+1, len(words))
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// decode takes both alphabets, padded or not: tools differ.
func decode(word string) ([]byte, error) {
	word = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(word, "="))
	return base64.RawStdEncoding.DecodeString(word)
}

// newKey derives the id from the key: 64 bits of a hash tell keys apart, and
// nothing of 256 random bits.
func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	sum := sha256.Sum256(append([]byte("minoots key id\x00"), raw...))
	return key{hex.EncodeToString(sum[:8]), aead}, nil
}

func (r *Ring) find(id string) *key {
	if r != nil {
		for i := range r.keys {
			if r.keys[i].id == id {
				return &r.keys[i]
			}
		}
	}
	return nil
}

// KeyID names the key that seals; "" if the ring has none.
func (r *Ring) KeyID() string {
	if r == nil {
		return ""
	}
	return r.keys[0].id
}

// Has tells whether the ring opens what that key has sealed.
func (r *Ring) Has(keyID string) bool { return r.find(keyID) != nil }

// Seal encrypts with the first key. Of names what the secret belongs to: Open
// must be given the same, so that a row's secret cannot be put into another row.
// The ring must not be nil.
func (r *Ring) Seal(plain []byte, of string) []byte {
	return r.keys[0].aead.Seal([]byte{format}, nil, plain, additional(of))
}

// Open decrypts what the key of that id has sealed.
func (r *Ring) Open(keyID string, sealed []byte, of string) ([]byte, error) {
	k := r.find(keyID)
	if k == nil {
		return nil, ErrUnknownKey
	}
	if len(sealed) == 0 || sealed[0] != format {
		return nil, ErrBroken
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], additional(of))
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

func additional(of string) []byte { return append([]byte{format}, of...) }

// String gives the ids of the keys, which may be shown.
func (r *Ring) String() string {
	if r == nil {
		return ""
	}
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].id
	}
	return strings.Join(ids, ",")
}

// GoString implements fmt.GoStringer, for %#v.
func (r *Ring) GoString() string { return r.String() }

// MarshalText implements encoding.TextMarshaler, for logs and JSON.
func (r *Ring) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
