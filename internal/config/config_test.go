package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// load reads settings as a command with all the flags would.
func load(t *testing.T, env map[string]string, args []string, required ...string) (Config, error) {
	t.Helper()
	var names []string
	for _, s := range Settings {
		names = append(names, s.Env)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, names...)
	require.NoError(t, flags.Parse(args))
	return Load(flags, func(name string) string { return env[name] }, required...)
}

func TestDefaultsAreTheContracts(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.HTTPAddr)
	require.Equal(t, "127.0.0.1:9090", c.OpsAddr)
	require.Equal(t, "api,kernel,worker", c.Roles.String())
	require.Equal(t, slog.LevelInfo, c.LogLevel)
	require.Empty(t, c.LogFormat)
	require.Equal(t, 20*time.Second, c.ShutdownGrace)
	require.Equal(t, 90*24*time.Hour, c.HistoryRetention)
	require.Equal(t, 90*24*time.Hour, c.FinishedRetention)
	require.Empty(t, c.WebhookAllowCIDRs)
	require.False(t, c.Given(HTTPAddr))
	require.Empty(t, c.Listen())
}

func TestFlagWinsOverEnvironmentWinsOverDefault(t *testing.T) {
	t.Parallel()
	c, err := load(t,
		map[string]string{HTTPAddr: ":1", OpsAddr: ":2", RolesName: " ", WebhookAllowCIDRs: "10.1.2.3/8, ::1"},
		[]string{"--http-addr", ":3", "--roles=kernel"})
	require.NoError(t, err)
	require.Equal(t, ":3", c.HTTPAddr)
	require.Equal(t, ":2", c.OpsAddr)
	require.Equal(t, Roles{Kernel: true}, c.Roles)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, c.WebhookAllowCIDRs)
	require.True(t, c.Given(HTTPAddr))
	require.False(t, c.Given(LogLevel))
}

func TestListenURL(t *testing.T) {
	t.Parallel()
	const pooler, direct = "postgres://pooler/x", "postgres://direct/x"
	for _, test := range []struct{ listen, wantListen, wantDirect string }{
		{"", pooler, pooler},
		{direct, direct, direct},
		{"off", "", pooler},
	} {
		c, err := load(t, map[string]string{DatabaseURL: pooler, ListenURL: test.listen}, nil)
		require.NoError(t, err)
		require.Equal(t, test.wantListen, c.Listen(), test.listen)
		require.Equal(t, test.wantDirect, c.Direct(), test.listen)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"off": 0, "1d": day, "P2W": 14 * day, "36h": 36 * time.Hour} {
		c, err := load(t, map[string]string{HistoryRetention: text, FinishedRetention: "3d"}, nil)
		require.NoError(t, err, text)
		require.Equal(t, want, c.HistoryRetention, text)
		require.Equal(t, 3*day, c.FinishedRetention)
	}
	for _, text := range []string{"0", "0s", "-1d", "23h", "200000d", "for ever", "90"} {
		_, err := load(t, map[string]string{HistoryRetention: text}, nil)
		require.ErrorContains(t, err, HistoryRetention, text)
	}
	_, err := load(t, nil, []string{"--finished-retention=71h"})
	require.EqualError(t, err, `--finished-retention "71h" is not a time to keep things: want such as 90d, from 3d up, or off for ever`)
}

func TestCommandsMustBeThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, text := filepath.Join(dir, "program"), filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700)) //nolint:gosec // a program
	require.NoError(t, os.WriteFile(text, nil, 0o600))
	c, err := load(t, map[string]string{CommandAllow: program + ", " + dir + "/./program"}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{program, program}, c.CommandAllow)
	for path, want := range map[string]string{
		"notify": "not an absolute path", filepath.Join(dir, "missing"): "is not there", text: "not an executable file", dir: "not an executable file",
	} {
		_, err := load(t, map[string]string{CommandAllow: program + "," + path}, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		ListenURL: "host=x port=none", HTTPAddr: "8080", OpsAddr: "localhost:port", RolesName: "api,cook",
		WebhookAllowCIDRs: "10.0.0.0/33", CommandAllow: "notify", NATSURL: "http://nats", LogLevel: "loud",
		LogFormat: "xml", ShutdownGrace: "-1s",
		HistoryRetention: "3 months", FinishedRetention: "2d", URL: "localhost:8080", APIKey: "two words",
		SecretsKey: "hunter2", SecretsKeyFile: "/does/not/exist", PublicURL: "timers.example.com",
	}
	_, err := load(t, bad, nil, DatabaseURL)
	var all *Error
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Mistakes, len(Settings))
	for i, s := range Settings {
		require.True(t, strings.HasPrefix(all.Mistakes[i], s.Env+" "), all.Mistakes[i])
	}
	require.NotContains(t, err.Error(), "\n")

	_, err = load(t, nil, []string{"--log-level", "loud"})
	require.EqualError(t, err, `--log-level "loud" is not a level: want debug, info, warn or error`)
}

func TestSettingsWithoutAFlagAreLeftAlone(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, LogLevel)
	_, err := Load(flags, func(name string) string {
		return map[string]string{ShutdownGrace: "soon", LogLevel: "warn"}[name]
	})
	require.NoError(t, err)
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	for _, url := range []string{
		"postgres://user:" + password + "@host:5432/db",
		"postgres://host/db?user=u&password=" + password,
		"postgres://user:" + password + "@h1:5432,h2:5432/db",
		"host=h user=u password='" + password + " x' dbname=d",
		"host=h password = " + password,
	} {
		c, err := load(t, map[string]string{DatabaseURL: url, ListenURL: url, APIKey: password}, nil)
		require.NoError(t, err, url)
		require.Equal(t, url, c.DatabaseURL.Reveal())
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "url", c.DatabaseURL)
		encoded, err := json.Marshal(c)
		require.NoError(t, err)
		for _, shown := range []string{
			fmt.Sprint(c), fmt.Sprintf("%+v %#v %s", c, c, c.APIKey), log.String(), string(encoded),
		} {
			require.NotContains(t, shown, password, url)
		}
	}
	require.Equal(t, "postgres://user@host:5432/db", SecretOf("postgres://user:pw@host:5432/db?sslmode=disable").String())

	// A mistake must not tell either.
	for _, url := range []string{
		"postgres://user:" + password + "/@host:5432/db", "postgres://user:" + password + "@host:port/db", password,
	} {
		_, err := load(t, map[string]string{DatabaseURL: url, NATSURL: url}, nil)
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), password)
	}
}

func TestTableNamesEverySettingOnce(t *testing.T) {
	t.Parallel()
	for _, s := range Settings {
		require.Equal(t, 1, strings.Count(Table(), s.Env+" "), s.Env)
		require.Contains(t, Table(), "--"+s.Flag()+" ")
	}
}
