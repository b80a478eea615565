package api

import (
	"context"
	"sync"
	"time"

	"github.com/minoots/minoots"
)

const (
	// keyLifetime is how long an answer about a key is believed. A revoked key
	// stops working within this time on every replica, and at once on the one
	// that revoked it.
	keyLifetime = 5 * time.Second
	// keyCacheSize bounds the memory that strangers with random keys can take:
	// about 2 MB.
	keyCacheSize = 10_000
	// keyTimeout ends a look-up whose first caller has gone but others wait for.
	keyTimeout = 5 * time.Second
)

// keyCache remembers who holds a key, and which keys nobody holds. Of a burst of
// requests with one key, the first asks the database and the rest wait for it.
type keyCache struct {
	lookup  func(ctx context.Context, hash []byte) (minoots.Principal, error)
	mu      sync.Mutex
	entries map[string]*keyEntry // by hash
}

// keyEntry is an answer, or a question under way.
type keyEntry struct {
	done      chan struct{} // closed when the rest is set
	expires   time.Time
	principal minoots.Principal
	err       error
}

func newKeyCache(lookup func(context.Context, []byte) (minoots.Principal, error)) *keyCache {
	return &keyCache{lookup: lookup, entries: map[string]*keyEntry{}}
}

// find gives who holds the key; CodeNotFound if nobody does.
func (c *keyCache) find(ctx context.Context, secret string) (minoots.Principal, error) {
	hash := minoots.HashCredential(secret)
	c.mu.Lock()
	e, ok := c.entries[string(hash)]
	if ok && !e.expired(time.Now()) {
		c.mu.Unlock()
		return e.wait(ctx)
	}
	e = &keyEntry{done: make(chan struct{})}
	c.makeRoom()
	c.entries[string(hash)] = e
	c.mu.Unlock()
	c.ask(ctx, hash, e)
	return e.principal, e.err
}

// ask fills the entry. Its life counts from before the question, so that it never
// outlives a revocation by more than keyLifetime. A failure is not remembered.
func (c *keyCache) ask(ctx context.Context, hash []byte, e *keyEntry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyTimeout)
	defer cancel()
	defer close(e.done)
	e.expires = time.Now().Add(keyLifetime)
	e.principal, e.err = c.lookup(ctx, hash)
	if e.err != nil && minoots.ErrorCode(e.err) != minoots.CodeNotFound {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.entries[string(hash)] == e {
			delete(c.entries, string(hash))
		}
	}
}

// makeRoom drops some entry if the cache is full. Which one hardly matters: it
// costs its holder one query.
func (c *keyCache) makeRoom() {
	for hash := range c.entries {
		if len(c.entries) < keyCacheSize {
			return
		}
		delete(c.entries, hash)
	}
}

// forget drops what is known of the key with this id.
func (c *keyCache) forget(id minoots.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, e := range c.entries {
		if e.answered() && e.principal.KeyID == id {
			delete(c.entries, hash)
		}
	}
}

func (e *keyEntry) answered() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

func (e *keyEntry) expired(now time.Time) bool { return e.answered() && !now.Before(e.expires) }

func (e *keyEntry) wait(ctx context.Context) (minoots.Principal, error) {
	select {
	case <-e.done:
		return e.principal, e.err
	case <-ctx.Done():
		return minoots.Principal{}, ctx.Err()
	}
}
