package workers

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// secretsFor is how long a tenant's secrets are remembered: a rotation is
	// followed within it. The old secret stays live longer than that.
	secretsFor = 5 * time.Second
	// secretsAgain is how soon they are asked for again when Postgres did not
	// answer, and secretsTimeout how long that may take: less than the shortest
	// usual timeout of an action.
	secretsAgain   = time.Second
	secretsTimeout = 2 * time.Second
	// tellEvery is the least time between two words in the log on keys.
	tellEvery = time.Minute
)

// Secrets gives tenants' signing secrets from memory, and makes a tenant's first
// one at its first use. It is what the webhook executor signs with.
type Secrets struct {
	// Now is the clock of the memory. Defaults to time.Now.
	Now func() time.Time
	// Log hears of secrets that cannot be read. Defaults to slog.Default.
	Log *slog.Logger

	db    *db.DB
	reads singleflight.Group // so that a storm makes one query

	mu      sync.Mutex
	tenants map[string]tenantSecrets
	locked  lockedLog
}

type tenantSecrets struct {
	live    [][]byte
	expires time.Time
}

// NewSecrets makes a Secrets.
func NewSecrets(d *db.DB) *Secrets {
	return &Secrets{Now: time.Now, Log: slog.Default(), db: d, tenants: map[string]tenantSecrets{}}
}

// Live gives the live secrets of a tenant, the current one first. When Postgres
// is away it gives the ones it remembers.
func (s *Secrets) Live(ctx context.Context, tenant string) ([][]byte, error) {
	if known := s.recall(tenant); s.Now().Before(known.expires) {
		return known.live, nil
	}
	// The read belongs to all who wait for it, so none of them can cancel it.
	read := s.reads.DoChan(tenant, func() (any, error) { return s.renew(context.WithoutCancel(ctx), tenant) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-read:
		live, _ := result.Val.([][]byte)
		return live, result.Err
	}
}

func (s *Secrets) recall(tenant string) tenantSecrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenants[tenant]
}

func (s *Secrets) remember(tenant string, live [][]byte, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants[tenant] = tenantSecrets{live, s.Now().Add(d)}
}

// renew reads the secrets, or makes do with those that are remembered.
func (s *Secrets) renew(ctx context.Context, tenant string) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, secretsTimeout)
	defer cancel()
	live, err := s.read(ctx, tenant)
	if err == nil {
		s.remember(tenant, live, secretsFor)
		return live, nil
	}
	if known := s.recall(tenant); len(known.live) > 0 {
		s.remember(tenant, known.live, secretsAgain)
		return known.live, nil
	}
	s.locked.tell(s.Log, s.Now(), "a signing secret", err)
	return nil, err
}

// lockedLog tells the log of what cannot be opened, once a minute at most: the
// deliveries that need it do not go out until an operator does something. What is
// the matter with Postgres others tell.
type lockedLog struct {
	mu   sync.Mutex
	told time.Time
}

func (l *lockedLog) tell(log *slog.Logger, now time.Time, what string, err error) {
	if !errors.Is(err, db.ErrSealed) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.told.Add(tellEvery)) {
		return
	}
	l.told = now
	log.Error("deliveries fail, and are tried again, because "+what+" cannot be opened: "+
		"does MINOOTS_SECRETS_KEY lack a key that it had before?", "error", err)
}

func (s *Secrets) read(ctx context.Context, tenant string) ([][]byte, error) {
	secrets, err := s.db.SecretLive(ctx, tenant)
	if err == nil && len(secrets) == 0 {
		first := db.Secret{ID: minoots.NewID(), Secret: make([]byte, 32)}
		_, _ = rand.Read(first.Secret) // never fails
		if _, err := s.db.SecretEnsure(ctx, tenant, first); err != nil {
			return nil, err
		}
		secrets, err = s.db.SecretLive(ctx, tenant)
	}
	if err != nil {
		return nil, err
	}
	live := make([][]byte, len(secrets))
	for i := range secrets {
		live[i] = secrets[i].Secret
	}
	return live, nil
}
