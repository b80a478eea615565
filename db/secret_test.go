package db_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/seal"
	"github.com/minoots/minoots/internal/testdb"
)

const secretTenant = "acme"

// withKeys connects as a replica with these operator's keys.
func withKeys(t *testing.T, url string, keys ...string) *db.DB {
	t.Helper()
	var ring *seal.Ring
	if len(keys) > 0 {
		var err error
		ring, err = seal.Parse(strings.Join(keys, ","))
		require.NoError(t, err)
	}
	return testdb.Connect(t, db.Config{URL: url, Name: "secrets", Keys: ring, MaxConns: 4})
}

func newSecret(i int) db.Secret {
	return db.Secret{ID: minoots.NewID(), Secret: fmt.Appendf(nil, "a secret of thirty-two bytes %03d", i)}
}

func secretsOf(t *testing.T, d *db.DB) (live []string) {
	t.Helper()
	secrets, err := d.SecretLive(t.Context(), secretTenant)
	require.NoError(t, err)
	for _, s := range secrets {
		live = append(live, string(s.Secret))
	}
	return live
}

// secretWorld makes that many tenants beside acme, each with a secret, and gives acme's.
func secretWorld(t *testing.T, d *db.DB, others int) db.Secret {
	t.Helper()
	for i := range others {
		tenant := fmt.Sprintf("tenant-%d", i)
		_, err := d.TenantCreate(t.Context(), tenant, "")
		require.NoError(t, err)
		_, err = d.SecretEnsure(t.Context(), tenant, newSecret(i))
		require.NoError(t, err)
	}
	_, err := d.TenantCreate(t.Context(), secretTenant, "")
	require.NoError(t, err)
	s := newSecret(999)
	made, err := d.SecretEnsure(t.Context(), secretTenant, s)
	require.NoError(t, err)
	require.True(t, made)
	return s
}

func TestSecretsAreSealedAtRest(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	one, two := seal.NewKey(), seal.NewKey()
	d := withKeys(t, database.URL, one)
	first, next := secretWorld(t, d, 0), newSecret(1)
	_, err := d.SecretRotate(t.Context(), secretTenant, next, time.Hour)
	require.NoError(t, err)
	assert.Equal(t, []string{string(next.Secret), string(first.Secret)}, secretsOf(t, d))
	for _, s := range []db.Secret{first, next} {
		assert.Zero(t, count(t, database, "SELECT count(*) FROM minoots.signing_secrets s WHERE position($1::bytea IN s.secret) > 0", s.Secret),
			"the table does not hold it")
		assert.Equal(t, 1, count(t, database, "SELECT count(*) FROM minoots.signing_secrets WHERE id = $1 AND key_id <> ''", s.ID))
	}

	for name, other := range map[string]*db.DB{
		"no key": withKeys(t, database.URL), "another key": withKeys(t, database.URL, two),
	} {
		_, err := other.SecretLive(t.Context(), secretTenant)
		require.ErrorIs(t, err, db.ErrSealed, name)
		assert.Equal(t, minoots.CodeInternal, minoots.ErrorCode(err), name)
		for _, never := range []string{one, two, string(first.Secret), string(next.Secret)} {
			assert.NotContains(t, err.Error(), never, name)
		}
		infos, err := other.SecretList(t.Context(), secretTenant)
		require.NoError(t, err, "%s: a list opens none", name)
		assert.Len(t, infos, 2)
		keys, err := other.SecretKeys(t.Context())
		require.NoError(t, err)
		require.Len(t, keys, 1)
		assert.False(t, keys[0].Known, name)
		assert.EqualValues(t, 2, keys[0].Live)
	}
	assert.Len(t, secretsOf(t, withKeys(t, database.URL, two, one)), 2, "the second key of a ring reads")

	// A row's secret in another row does not open.
	_, err = database.Pool.Exec(t.Context(), `UPDATE minoots.signing_secrets a SET secret = b.secret
		FROM minoots.signing_secrets b WHERE a.id = $1 AND b.id = $2`, first.ID, next.ID)
	require.NoError(t, err)
	_, err = d.SecretLive(t.Context(), secretTenant)
	require.ErrorIs(t, err, db.ErrSealed)
	require.ErrorIs(t, err, seal.ErrBroken)
}

// Rows of the time before keys go on working, and are sealed by a command.
func TestSecretResealFromPlainToKeyToKeyAndBack(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	one, two := seal.NewKey(), seal.NewKey()
	const others = 1100 // three pages
	first := secretWorld(t, withKeys(t, database.URL), others)
	plain := func() int {
		return count(t, database, "SELECT count(*) FROM minoots.signing_secrets WHERE key_id IS NULL")
	}
	require.Equal(t, others+1, plain())

	reseal := func(d *db.DB, unseal bool) (done db.Reseal, steps int) {
		t.Helper()
		done, err := d.SecretReseal(t.Context(), unseal, func(db.Reseal) { steps++ })
		require.NoError(t, err)
		return done, steps
	}
	d := withKeys(t, database.URL, one)
	assert.Equal(t, []string{string(first.Secret)}, secretsOf(t, d), "a replica with a key reads plain ones")
	done, steps := reseal(d, false)
	assert.EqualValues(t, others+1, done.Sealed)
	assert.Equal(t, 3, steps)
	assert.Zero(t, plain())
	assert.Equal(t, []string{string(first.Secret)}, secretsOf(t, d))
	again, _ := reseal(d, false)
	assert.Zero(t, again.Sealed, "there is nothing to do")

	wrong, _ := reseal(withKeys(t, database.URL, two), false)
	assert.EqualValues(t, others+1, wrong.Unreadable)
	require.ErrorIs(t, wrong.Cause, seal.ErrUnknownKey)
	assert.Zero(t, wrong.Sealed)

	// Two operators at once change the key.
	var wg sync.WaitGroup
	var mu sync.Mutex
	sealed := int64(0)
	for range 2 {
		replica := withKeys(t, database.URL, two, one)
		wg.Go(func() {
			done, err := replica.SecretReseal(t.Context(), false, func(db.Reseal) {})
			assert.NoError(t, err)
			mu.Lock()
			sealed += done.Sealed
			mu.Unlock()
		})
	}
	wg.Wait()
	assert.EqualValues(t, others+1, sealed, "each by one")
	assert.Equal(t, []string{string(first.Secret)}, secretsOf(t, withKeys(t, database.URL, two)), "the old key is not needed any more")

	back, _ := reseal(withKeys(t, database.URL, two), true)
	assert.EqualValues(t, others+1, back.Sealed)
	assert.Equal(t, others+1, plain())
	assert.Equal(t, []string{string(first.Secret)}, secretsOf(t, withKeys(t, database.URL)))
	_, err := withKeys(t, database.URL).SecretReseal(t.Context(), false, func(db.Reseal) {})
	require.Error(t, err, "nothing to seal with")
}

// Of any number who ask at once one is shown the secret, and none before it can be read.
func TestSecretIsShownOnce(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	key := seal.NewKey()
	d := withKeys(t, database.URL, key)
	first := secretWorld(t, d, 0)
	_, err := withKeys(t, database.URL).SecretShow(t.Context(), secretTenant)
	require.ErrorIs(t, err, db.ErrSealed)

	var wg sync.WaitGroup
	shown := make(chan db.Secret, 16)
	for range 2 {
		replica := withKeys(t, database.URL, key)
		for range 8 {
			wg.Go(func() {
				s, err := replica.SecretShow(t.Context(), secretTenant)
				if err == nil {
					shown <- s
				} else {
					assert.Equal(t, minoots.CodeConflict, minoots.ErrorCode(err))
				}
			})
		}
	}
	wg.Wait()
	require.Len(t, shown, 1)
	assert.Equal(t, first.Secret, (<-shown).Secret)
}

// Down would leave sealed secrets that nobody could read.
func TestMigrationDownRefusesSealedSecrets(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	d := withKeys(t, database.URL, seal.NewKey())
	secretWorld(t, d, 0)
	var refused error
	for range 20 {
		all, err := db.MigrateStatus(t.Context(), database.URL)
		require.NoError(t, err)
		newest := int64(0)
		for _, m := range all {
			if m.AppliedAt != nil {
				newest = max(newest, m.Version)
			}
		}
		refused = db.MigrateDown(t.Context(), database.URL)
		if newest == 13 {
			break
		}
		require.NoError(t, refused)
	}
	require.ErrorContains(t, refused, "minoots secrets unseal")
	_, err := d.SecretReseal(t.Context(), true, func(db.Reseal) {})
	require.NoError(t, err)
	require.NoError(t, db.MigrateDown(t.Context(), database.URL))
}
