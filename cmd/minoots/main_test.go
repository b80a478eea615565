package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/testdb"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" { // a test runs this binary as the program itself
		main()
	}
	// The settings of whoever runs the tests are none of theirs.
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "MINOOTS_") {
			_ = os.Unsetenv(name)
		}
	}
	testdb.Main(m)
}

// asProgram in the environment makes the test binary behave as minoots.
const asProgram = "TEST_RUNS_MINOOTS"

// cli runs the program with arguments and standard input.
func cli(t *testing.T, in string, args ...string) (status int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(in), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

const someID = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestExitStatusAndOneLineErrors(t *testing.T) {
	t.Parallel()
	const database = "--database-url=postgres://postgres@127.0.0.1:1/x"
	api := []string{"--url=http://127.0.0.1:1", "--api-key=k"}
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"bogus"}, exitMisuse, "unknown command"},
		{[]string{"timers"}, exitMisuse, "a command is missing"},
		{[]string{"timers", "bogus"}, exitMisuse, `unknown command "bogus"`},
		{[]string{"serve", "--bogus"}, exitMisuse, "--help"},
		{[]string{"serve", "extra"}, exitMisuse, "extra"},
		{[]string{"serve"}, exitMisuse, "MINOOTS_DATABASE_URL"},
		{[]string{"serve", database, "--roles=cook", "--log-level=loud"}, exitMisuse, "--log-level"},
		{[]string{"migrate", "sideways"}, exitMisuse, "sideways"},
		{[]string{"tenants", "create", database, "Not Good"}, exitMisuse, "a-z"},
		{[]string{"keys", "create", database}, exitMisuse, "tenant"},
		{[]string{"keys", "create", database, "--tenant=x", "--role=cook"}, exitMisuse, "cook"},
		{[]string{"keys", "revoke", database, "--tenant=x", "12"}, exitMisuse, "12"},
		{[]string{"acks", "send", "--url=http://127.0.0.1:1", "t", "--result=done"}, exitMisuse, "not JSON"},
		{[]string{"acks", "send", "--url=http://127.0.0.1:1", "t", "--no-retry"}, exitMisuse, "--failed"},
		{[]string{"acks", "heartbeat", "--url=http://127.0.0.1:1", "t", "--extend=1ms"}, exitMisuse, "--extend"},
		{append(api, "timers", "create"), exitMisuse, "when?"},
		{append(api, "timers", "create", "--in=5"), exitMisuse, "--in"},
		{append(api, "timers", "create", "--at=tomorrow"), exitMisuse, "--at"},
		{append(api, "timers", "create", "--in=5s", "--at=2026-11-23T09:00:00Z"), exitMisuse, "at in"},
		{append(api, "timers", "create", "--in=5s", "--label=x"), exitMisuse, "k=v"},
		{append(api, "timers", "create", "--in=5s", "--metadata={"), exitMisuse, "JSON"},
		{append(api, "timers", "create", "--file=/does/not/exist"), exitMisuse, "no such file"},
		{append(api, "timers", "create", "--file=-"), exitMisuse, "not a timer"},
		{append(api, "timers", "list", "--status=armed"), exitMisuse, "scheduled"},
		{append(api, "timers", "list", "--limit=-1"), exitMisuse, "--limit"},
		{append(api, "timers", "list", "--due-after=soon"), exitMisuse, "--due-after"},
		{append(api, "timers", "get", "12"), exitMisuse, "12"},
		{append(api, "timers", "patch", someID), exitMisuse, "nothing to change"},
		{append(api, "timers", "patch", someID, "--in=5s", "--at=2026-11-23T09:00:00Z"), exitMisuse, "at in"},
		{append(api, "timers", "patch", someID, "--in=soon"), exitMisuse, "--in"},
		{append(api, "timers", "patch", someID, "--metadata={"), exitMisuse, "JSON"},
		{append(api, "timers", "patch", someID, "--file=-"), exitMisuse, "not a merge patch"},
		{append(api, "timers", "pause"), exitMisuse, "at least 1"},
		{append(api, "timers", "resume", someID, "--policy=maybe"), exitMisuse, "shift"},
		{append(api, "timers", "snooze", someID), exitMisuse, "for until"},
		{append(api, "timers", "snooze", someID, "--for=soon"), exitMisuse, "--for"},
		{append(api, "timers", "snooze", someID, "--until=soon"), exitMisuse, "--until"},
		{append(api, "timers", "fire", "12"), exitMisuse, "12"},
		{append(api, "timers", "watch", "--every=1ms"), exitMisuse, "--every"},
		{append(api, "timers", "get", someID), exitFailed, "is the server running"},
		{[]string{"timers", "list"}, exitMisuse, "minoots dev"},
		{[]string{"timers", "list", "--url=http://x"}, exitMisuse, "MINOOTS_API_KEY"},
		{[]string{"preview"}, exitMisuse, "what?"},
		{[]string{"preview", "0", "9", "*"}, exitMisuse, "at most 1 arg"},
		{[]string{"preview", "0 9 30 2 *"}, exitMisuse, "February has no day 30"},
		{[]string{"preview", "@daily", "--zone=europe/paris"}, exitMisuse, `is written "Europe/Paris"`},
		{[]string{"preview", "@daily", "--every=1h"}, exitMisuse, "has both"},
		{[]string{"preview", "--every=often"}, exitMisuse, "--every"},
		{[]string{"preview", "@daily", "--gap=first"}, exitMisuse, "shift or skip"},
		{[]string{"preview", "@daily", "--count=0"}, exitMisuse, "count must be from 1 to 100"},
		{[]string{"preview", "@daily", "--max-occurrences=0"}, exitMisuse, "maxOccurrences"},
		{[]string{"preview", "@daily", "--after=soon"}, exitMisuse, "--after"},
		{[]string{"openapi", "--output=/does/not/exist"}, exitFailed, "no such file"},
	} {
		args := test.args
		if args[0] == api[0] { // flags may stand anywhere after the command
			args = append(append([]string{}, args[2:]...), api...)
		}
		name := strings.Join(args, " ")
		status, out, errOut := cli(t, "", args...)
		require.Equal(t, test.status, status, name)
		require.Empty(t, out, name)
		require.Equal(t, 1, strings.Count(errOut, "\n"), "%s: %s", name, errOut)
		require.Contains(t, errOut, test.says, name)
		require.True(t, strings.HasPrefix(errOut, "minoots"), errOut)
	}
}

func TestHelpHasAnExampleForEveryCommand(t *testing.T) {
	t.Parallel()
	root := newRoot()
	commands := root.Commands()
	for i := 0; i < len(commands); i++ {
		cmd := commands[i]
		commands = append(commands, cmd.Commands()...)
		if cmd.Name() == "help" || cmd.Name() == "completion" || !cmd.Runnable() {
			continue
		}
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.Contains(t, cmd.Example, "minoots ", cmd.CommandPath())
	}
	status, out, _ := cli(t, "", "help", "environment")
	require.Equal(t, exitDone, status)
	require.Contains(t, out, "MINOOTS_DATABASE_URL")
	status, out, _ = cli(t, "", "version", "--json")
	require.Equal(t, exitDone, status)
	require.True(t, json.Valid([]byte(out)))
	require.Contains(t, out, `"tzdata": "20`)
}

func TestPreview(t *testing.T) {
	t.Parallel()
	args := []string{"preview", "30 2 * * *", "--zone=America/New_York", "--after=2027-03-13T12:00:00Z", "--count=2"}
	status, out, errOut := cli(t, "", args...)
	require.Equal(t, exitDone, status, errOut)
	require.Regexp(t, `(?m)^Sun 2027-03-14 03:30:00 EDT  2027-03-14T07:30:00Z  02:30 does not exist: shifted to 03:30$`, out)
	require.Contains(t, out, "America/New_York by time zone database 20")
	var p minoots.RecurrencePreview
	status, out, errOut = cli(t, "", append(args, "--gap=skip", "--overlap=both", "--max-occurrences=1", "--json")...)
	require.Equal(t, exitDone, status, errOut)
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Len(t, p.Items, 1)
	require.True(t, p.Ends)
	require.Equal(t, "2027-03-15T06:30:00.000000Z", p.Items[0].At.String())
	status, out, errOut = cli(t, "", "preview", "--every=15m", "--start=2090-01-01T00:00:00Z", "--end=2090-01-01T00:20:00Z")
	require.Equal(t, exitDone, status, errOut)
	require.Contains(t, out, "2090-01-01T00:15:00Z")
	require.Contains(t, out, "and no more")
}

func TestTenantsAndKeys(t *testing.T) {
	t.Parallel()
	at := "--database-url=" + testdb.New(t).URL

	status, out, errOut := cli(t, "", "migrate", "status", at)
	require.Equal(t, exitDone, status, errOut)
	require.Contains(t, out, "0 pending")
	status, out, errOut = cli(t, "", "tenants", "create", "acme", "--name", "Acme Inc.", at)
	require.Equal(t, exitDone, status, errOut)
	require.Equal(t, "acme\n", out)
	status, _, errOut = cli(t, "", "tenants", "create", "acme", at)
	require.Equal(t, exitFailed, status)
	require.Equal(t, "minoots tenants create: a tenant with this id exists already\n", errOut)
	_, out, _ = cli(t, "", "tenants", "list", at)
	require.Contains(t, out, "Acme Inc.")

	status, key, errOut := cli(t, "", "keys", "create", "--tenant=acme", "--name=laptop", at)
	require.Equal(t, exitDone, status, errOut)
	require.Empty(t, errOut)
	require.Regexp(t, `^\S+\n$`, key, "the key alone")
	status, _, errOut = cli(t, "", "keys", "create", "--tenant=nobody", at)
	require.Equal(t, exitFailed, status)
	require.Contains(t, errOut, "minoots tenants create")

	var keys []minoots.Key
	_, out, _ = cli(t, "", "keys", "list", "--tenant=acme", "--json", at)
	require.NoError(t, json.Unmarshal([]byte(out), &keys))
	require.Len(t, keys, 1)
	require.Equal(t, []minoots.Role{minoots.RoleTenantAdmin}, keys[0].Roles)
	require.NotContains(t, out, strings.TrimSpace(key))
	status, _, errOut = cli(t, "", "keys", "revoke", "--tenant=acme", keys[0].ID.String(), at)
	require.Equal(t, exitDone, status, errOut)
	_, out, _ = cli(t, "", "keys", "list", "--tenant=acme", "--json", at)
	require.NoError(t, json.Unmarshal([]byte(out), &keys))
	require.NotNil(t, keys[0].RevokedAt)
}

func TestDevFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "x")
	_, err := readDevFile(dir)
	require.Error(t, err)
	for _, key := range []string{"first", "second"} {
		want := devFile{URL: "http://127.0.0.1:1", Tenant: "dev", APIKey: key}
		require.NoError(t, writeDevFile(dir, want))
		got, err := readDevFile(dir)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	info, err := os.Stat(filepath.Join(dir, "dev.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
