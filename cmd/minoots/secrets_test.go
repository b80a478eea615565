package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/seal"
	"github.com/minoots/minoots/internal/testdb"
)

// book is a log that can be read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// keyed runs a replica with these operator's keys; "" is none.
func keyed(t *testing.T, url, keys string) (log *book, api, ops string) {
	t.Helper()
	cfg := config.Config{
		DatabaseURL: config.SecretOf(url), Roles: config.Roles{API: true, Kernel: true, Worker: true}, WebhookAllowCIDRs: loopback,
	}
	if keys != "" {
		var err error
		cfg.SecretsKeys, err = seal.Parse(keys)
		require.NoError(t, err)
	}
	log = &book{}
	api, ops = runReplica(t, cfg, slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return log, api, ops
}

func secretsState(t *testing.T, ops string) readiness {
	t.Helper()
	var answer readiness
	status, body := get(t, ops+"/readyz")
	require.Equal(t, http.StatusOK, status, string(body))
	require.NoError(t, json.Unmarshal(body, &answer))
	return answer
}

// One life of an operator's key, over the program as it is used: a replica with
// it, one with a wrong one beside it, and what each of them says and never says.
func TestSecretsWithTheRightAndTheWrongKey(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	right, wrong := seal.NewKey(), seal.NewKey()
	d := withAcme(t, database.URL)
	key, err := createKey(t.Context(), d, "acme", "test", []minoots.Role{minoots.RoleTenantAdmin})
	require.NoError(t, err)

	// The secret is there, sealed, before the replica with the wrong key is.
	ring, err := seal.Parse(right)
	require.NoError(t, err)
	sealer := testdb.Connect(t, db.Config{URL: database.URL, Keys: ring})
	_, err = sealer.SecretEnsure(t.Context(), "acme", db.Secret{ID: minoots.NewID(), Secret: []byte("0123456789abcdef0123456789abcdef")})
	require.NoError(t, err)
	wrongLog, wrongAPI, wrongOps := keyed(t, database.URL, wrong)
	state := secretsState(t, wrongOps)
	require.Equal(t, secretsLocked, state.Secrets)
	require.Equal(t, "degraded", state.Status)

	received := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received <- r.Header.Get("webhook-signature")
	}))
	t.Cleanup(receiver.Close)
	c, err := client.New(wrongAPI, key.Secret)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	at := minoots.Duration(time.Millisecond)
	timer, err := c.CreateTimer(t.Context(), minoots.TimerSpec{Duration: &at, ActionBundle: &minoots.Bundle{
		RetryPolicy: &minoots.RetryPolicy{MaxAttempts: 50, BackoffInitialMs: 100, BackoffMaxMs: 1000},
		Actions: []minoots.Action{{ID: "a", Kind: minoots.KindWebhook,
			Parameters: json.RawMessage(fmt.Sprintf(`{"url": %q}`, receiver.URL))}},
	}}, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, database.Pool.QueryRow(t.Context(),
			"SELECT count(*) FROM minoots.attempts WHERE error_class = 'signing' AND status = 'retrying'").Scan(&n))
		return n > 1
	}, 20*time.Second, 50*time.Millisecond)
	require.Empty(t, received, "nothing goes out unsigned")
	require.Contains(t, wrongLog.String(), "MINOOTS_SECRETS_KEY")
	require.Contains(t, wrongLog.String(), "acme")

	// A replica with the right key: a retry of the same delivery goes out.
	rightLog, rightAPI, rightOps := keyed(t, database.URL, right)
	require.Equal(t, secretsSealed, secretsState(t, rightOps).Secrets)
	select {
	case signature := <-received:
		require.True(t, strings.HasPrefix(signature, "v1,"))
	case <-time.After(30 * time.Second):
		t.Fatalf("timer %s: not delivered by the replica with the key", timer.ID)
	}

	// It shows the secret that a delivery has made, once; the wrong one cannot, and says nothing of it.
	show := func(url string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/signing-secrets", nil)
		require.NoError(t, err)
		req.Header.Set("X-API-Key", key.Secret)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var body bytes.Buffer
		_, err = body.ReadFrom(res.Body)
		require.NoError(t, err)
		return res.StatusCode, body.String()
	}
	status, wrongBody := show(wrongAPI)
	require.Equal(t, http.StatusInternalServerError, status, wrongBody)
	status, body := show(rightAPI)
	require.Equal(t, http.StatusCreated, status, body)
	require.Contains(t, body, db.SecretText([]byte("0123456789abcdef0123456789abcdef")))
	status, _ = show(rightAPI)
	require.Equal(t, http.StatusConflict, status)

	_, metrics := get(t, wrongOps+"/metrics")
	require.Contains(t, string(metrics), "\nminoots_signing_secrets_locked 1\n")
	_, more := get(t, rightOps+"/metrics")
	var stored string
	require.NoError(t, database.Pool.QueryRow(t.Context(), `SELECT string_agg(coalesce(error, '') || coalesce(response, ''), ' ') FROM minoots.attempts`).Scan(&stored))
	for name, text := range map[string]string{
		"wrong log": wrongLog.String(), "right log": rightLog.String(), "metrics": string(metrics) + string(more),
		"problem": wrongBody, "attempts": stored,
	} {
		for _, never := range []string{right, wrong, "0123456789abcdef0123456789abcdef",
			base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))[:20], key.Secret} {
			require.NotContains(t, text, never, name)
		}
	}
}

func TestSecretsCommands(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	on := "--database-url=" + database.URL
	d := withAcme(t, database.URL)
	_, err := d.SecretEnsure(t.Context(), "acme", db.Secret{ID: minoots.NewID(), Secret: []byte("0123456789abcdef0123456789abcdef")})
	require.NoError(t, err)

	status, key, _ := cli(t, "", "secrets", "key")
	require.Zero(t, status)
	key = strings.TrimSpace(key)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(key), 0o600))

	status, _, errOut := cli(t, "", "secrets", "seal", on)
	require.Equal(t, exitMisuse, status)
	require.Contains(t, errOut, "MINOOTS_SECRETS_KEY")
	status, out, errOut := cli(t, "", "secrets", "seal", on, "--secrets-key-file="+file, "--json")
	require.Zero(t, status, errOut)
	require.JSONEq(t, `{"sealed": 1, "unreadable": 0}`, out)
	_, err = d.SecretLive(t.Context(), "acme")
	require.ErrorIs(t, err, db.ErrSealed)

	_, other, _ := cli(t, "", "secrets", "key")
	status, _, errOut = cli(t, "", "secrets", "seal", on, "--secrets-key="+strings.TrimSpace(other))
	require.Equal(t, exitFailed, status)
	require.Contains(t, errOut, "1 secrets were left as they are")
	require.NotContains(t, errOut, strings.TrimSpace(other))
	status, out, _ = cli(t, "", "secrets", "status", on, "--secrets-key="+strings.TrimSpace(other))
	require.Zero(t, status)
	require.Regexp(t, `[0-9a-f]{16}\s+no\s+1\s+1`, out)

	status, _, errOut = cli(t, "", "secrets", "unseal", on, "--secrets-key="+key)
	require.Zero(t, status, errOut)
	live, err := d.SecretLive(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "0123456789abcdef0123456789abcdef", string(live[0].Secret))
}

// dev finds the key that it made, and of many who make one, all get the same.
func TestLocalKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.key")
	ids := make(chan string, 16)
	var wg sync.WaitGroup
	for range cap(ids) {
		wg.Go(func() {
			ring, err := localKey(path)
			if err == nil {
				ids <- ring.KeyID()
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, cap(ids))
	first := <-ids
	for range cap(ids) - 1 {
		require.Equal(t, first, <-ids)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, os.WriteFile(path, []byte("swordfish"), 0o600))
	_, err = localKey(path)
	require.ErrorContains(t, err, path)
	require.NotContains(t, err.Error(), "swordfish")
}
