package config

import (
	"fmt"
	"strings"
)

// Setting is one line of the table.
type Setting struct {
	Env     string // its name in the environment; the flag's name follows from it
	Default string
	Doc     string
	read    func(*Config, string) error
}

// Flag is the setting's flag: MINOOTS_HTTP_ADDR is --http-addr.
func (s Setting) Flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.Env, "MINOOTS_")), "_", "-")
}

// The settings' names in the environment.
const (
	DatabaseURL       = "MINOOTS_DATABASE_URL"
	ListenURL         = "MINOOTS_LISTEN_URL"
	HTTPAddr          = "MINOOTS_HTTP_ADDR"
	OpsAddr           = "MINOOTS_OPS_ADDR"
	RolesName         = "MINOOTS_ROLES"
	WebhookAllowCIDRs = "MINOOTS_WEBHOOK_ALLOW_CIDRS"
	CommandAllow      = "MINOOTS_COMMAND_ALLOW"
	NATSURL           = "MINOOTS_NATS_URL"
	LogLevel          = "MINOOTS_LOG_LEVEL"
	LogFormat         = "MINOOTS_LOG_FORMAT"
	ShutdownGrace     = "MINOOTS_SHUTDOWN_GRACE"
	HistoryRetention  = "MINOOTS_HISTORY_RETENTION"
	FinishedRetention = "MINOOTS_FINISHED_RETENTION"
	URL               = "MINOOTS_URL"
	APIKey            = "MINOOTS_API_KEY"
	SecretsKey        = "MINOOTS_SECRETS_KEY"
	SecretsKeyFile    = "MINOOTS_SECRETS_KEY_FILE"
	PublicURL         = "MINOOTS_PUBLIC_URL"
)

// Settings is the table: all that can be set, in the order in which it is shown.
var Settings = []Setting{
	{DatabaseURL, "", "Postgres; may be a transaction pooler", readDatabaseURL},
	{ListenURL, "", `a direct connection for LISTEN, seats and presence (default: the database URL); "off" = poll only`, readListenURL},
	{HTTPAddr, "127.0.0.1:8080", "where the API listens", readHTTPAddr},
	{OpsAddr, "127.0.0.1:9090", "where /livez, /readyz and /metrics listen", readOpsAddr},
	{RolesName, "api,kernel,worker", "what this replica does", readRoles},
	{WebhookAllowCIDRs, "", "private ranges that webhooks may reach, such as 10.1.0.0/16,127.0.0.1", readCIDRs},
	{CommandAllow, "", "programs that command actions may run, by absolute path, such as /usr/local/bin/export", readCommands},
	{NATSURL, "", "NATS server for events and workflow_event actions", readNATSURL},
	{LogLevel, "info", "debug, info, warn or error", readLogLevel},
	{LogFormat, "", "json or text (default: text on a terminal, else json)", readLogFormat},
	{ShutdownGrace, "20s", "how long a stopping replica lets its jobs finish", readGrace},
	{HistoryRetention, "90d", `how long firings, attempts and events are kept; "off" = for ever`, readHistoryRetention},
	{FinishedRetention, "90d", `how long a timer is kept after its end; "off" = for ever`, readFinishedRetention},
	{URL, "", "the API, for the commands that call it (default: the one that `minoots dev` runs here)", readURL},
	{APIKey, "", "the API key, for the same (default: the one that `minoots dev` made)", readAPIKey},
	{SecretsKey, "", "the operator's key for signing secrets at rest: base64 of 32 bytes; more after a comma are for reading", readSecretsKey},
	{SecretsKeyFile, "", "a file that holds the same", readSecretsKeyFile},
	{PublicURL, "", "the API as agents reach it, for acknowledgements (default: http:// and the address where it listens)", readPublicURL},
}

// Groups of settings, for the commands that take them.
var (
	Serve = []string{
		DatabaseURL, ListenURL, HTTPAddr, OpsAddr, RolesName, WebhookAllowCIDRs, CommandAllow, NATSURL, LogLevel, LogFormat,
		ShutdownGrace, HistoryRetention, FinishedRetention, SecretsKey, SecretsKeyFile, PublicURL,
	}
	Keys   = []string{SecretsKey, SecretsKeyFile}
	Direct = []string{DatabaseURL, ListenURL}
	Caller = []string{URL, APIKey}
)

// Table is the settings for people, one a line.
func Table() string {
	var b strings.Builder
	for _, s := range Settings {
		fmt.Fprintf(&b, "  %-28s --%-22s %s", s.Env, s.Flag(), s.Doc)
		if s.Default != "" {
			fmt.Fprintf(&b, " (default: %s)", s.Default)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
