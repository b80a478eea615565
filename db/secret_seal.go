package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/minoots/minoots"
)

//go:embed query/secret_keys.sql
var secretKeysSQL string

//go:embed query/secret_reseal_page.sql
var secretResealPageSQL string

//go:embed query/secret_reseal.sql
var secretResealSQL string

// ErrSealed is in the chain of the error for a secret that is sealed with a key
// that this process does not have, or that was changed in the table.
var ErrSealed = errors.New("the secret cannot be opened")

// sealed is a kind of secret that rows have.
type sealed struct {
	name      string
	page, put string // the statements that seal them anew; see resealSome
}

var signingSecret = sealed{"signing secret", secretResealPageSQL, secretResealSQL}

// of is what a sealed secret is bound to: its row.
func (k *sealed) of(tenant string, id minoots.ID) string {
	return "minoots " + k.name + "\x00" + tenant + "\x00" + id.String()
}

// sealSecret gives what is stored of a secret, and the key's id: nil where there
// is no operator's key.
func (d *DB) sealSecret(tenant string, s *Secret) (stored []byte, keyID *string) {
	if id := d.keys.KeyID(); id != "" {
		return d.keys.Seal(s.Secret, signingSecret.of(tenant, s.ID)), &id
	}
	return s.Secret, nil
}

// openSecret maps a row (id, secret, key_id, created_at, expires_at).
func (d *DB) openSecret(tenant string) pgx.RowToFunc[Secret] {
	return func(row pgx.CollectableRow) (s Secret, err error) {
		var keyID string
		if err = row.Scan(&s.ID, &s.Secret, &keyID, &s.CreatedAt, &s.ExpiresAt); err == nil {
			s.Secret, err = d.unseal(&signingSecret, tenant, s.ID, s.Secret, keyID)
		}
		return s, err
	}
}

// unseal opens what is stored. Its error names the secret and the key by their
// ids, for operators; callers are told nothing of it.
func (d *DB) unseal(k *sealed, tenant string, id minoots.ID, stored []byte, keyID string) ([]byte, error) {
	if keyID == "" {
		return stored, nil
	}
	plain, err := d.keys.Open(keyID, stored, k.of(tenant, id))
	if err == nil {
		return plain, nil
	}
	return nil, &minoots.Error{
		Code: minoots.CodeInternal, Message: "the " + k.name + " cannot be read",
		Err: fmt.Errorf("%w: %s %s of tenant %s, sealed with key %s: %w; this process has the keys [%s]",
			ErrSealed, k.name, id, tenant, keyID, err, d.keys),
	}
}

// SecretKey counts the secrets of all tenants that one key has sealed: signing
// secrets, and the headers of subscriptions.
type SecretKey struct {
	KeyID string `json:"keyId"` // "" for those that stand as they are
	// Known says that this process can read them.
	Known   bool  `json:"known"`
	Secrets int64 `json:"secrets"` // those that have expired too
	Live    int64 `json:"live"`
}

// SecretKeys tells how the secrets of all tenants are kept.
func (d *DB) SecretKeys(ctx context.Context) ([]SecretKey, error) {
	rows, err := d.pool.Query(ctx, secretKeysSQL)
	if err != nil {
		return nil, translate(err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k SecretKey, err error) {
		err = row.Scan(&k.KeyID, &k.Secrets, &k.Live)
		k.Known = k.KeyID == "" || d.keys.Has(k.KeyID)
		return k, err
	})
	return keys, translate(err)
}

// resealPage is how many secrets one transaction seals.
const resealPage = 500

// Reseal is what SecretReseal has done so far.
type Reseal struct {
	Sealed     int64 `json:"sealed"`     // or unsealed, if that was asked
	Unreadable int64 `json:"unreadable"` // with the keys that are there; left as they are
	// Cause is why the first of those could not be read.
	Cause error `json:"-"`
}

// SecretReseal seals the secrets of all tenants, signing secrets and the headers of
// subscriptions, anew with the first key, those
// that stand as they are too, or with plain makes all stand as they are. It goes
// page by page and tells progress after each; replicas may work meanwhile, and
// it may be broken off and begun again at any time.
func (d *DB) SecretReseal(ctx context.Context, plain bool, progress func(Reseal)) (done Reseal, err error) {
	target := d.keys.KeyID()
	switch {
	case plain:
		target = ""
	case target == "":
		return done, errors.New("seal secrets: there is no key")
	}
	for _, kind := range []*sealed{&signingSecret, &subscriptionHeaders} {
		for after, n := (minoots.ID{}), resealPage; n == resealPage; {
			if after, n, err = d.resealSome(ctx, kind, target, after, &done); err != nil {
				return done, err
			}
			if n > 0 || kind == &signingSecret {
				progress(done)
			}
		}
	}
	return done, nil
}

// resealSome seals a page of one kind: the statement page gives what is not sealed
// with a key, by id, and put writes it if it is as it was.
func (d *DB) resealSome(ctx context.Context, kind *sealed, target string, after minoots.ID, done *Reseal) (last minoots.ID, n int, err error) {
	rows, err := d.pool.Query(ctx, kind.page, target, after, resealPage)
	if isOlderSchema(err) { // on the way down, behind the migration that has such secrets
		return after, 0, nil
	}
	if err != nil {
		return after, 0, translate(err)
	}
	var (
		ids              []minoots.ID
		were, stored     [][]byte
		id               minoots.ID
		tenant, keyID    string
		was, next, clear []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &tenant, &was, &keyID}, func() error {
		after, n = id, n+1
		var bad error
		if clear, bad = d.unseal(kind, tenant, id, was, keyID); bad != nil {
			if done.Unreadable++; done.Cause == nil {
				done.Cause = bad
			}
			return nil
		}
		if next = clear; target != "" {
			next = d.keys.Seal(clear, kind.of(tenant, id))
		}
		ids, were, stored = append(ids, id), append(were, was), append(stored, next)
		return nil
	})
	if err != nil || len(ids) == 0 {
		return after, n, translate(err)
	}
	tag, err := d.pool.Exec(ctx, kind.put, ids, were, stored, target)
	done.Sealed += tag.RowsAffected()
	return after, n, translate(err)
}

// isOlderSchema tells the error for a table or a column that a migration adds.
func isOlderSchema(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "42703")
}
