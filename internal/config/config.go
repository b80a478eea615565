// Package config reads the settings of MINOOTS from the environment and from
// flags of the same names. One table (settings.go) says all there is to say
// about a setting: its name, its default, what it means and how it is read;
// the flags, the checks and `minoots help environment` follow from it.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/minoots/minoots/internal/seal"
)

// Config is the settings, read and checked. Its fields are in the table's order.
type Config struct {
	DatabaseURL       Secret
	ListenURL         Secret // empty means the database's; see Listen
	ListenOff         bool
	HTTPAddr          string
	OpsAddr           string
	Roles             Roles
	WebhookAllowCIDRs []netip.Prefix
	CommandAllow      []string
	NATSURL           Secret
	LogLevel          slog.Level
	LogFormat         string // "json", "text", or "" for text on a terminal
	ShutdownGrace     time.Duration
	HistoryRetention  time.Duration // 0: for ever
	FinishedRetention time.Duration // 0: for ever
	URL               string        // of the API, for the commands that call it
	APIKey            Secret
	SecretsKeys       *seal.Ring // nil without any; of either setting
	PublicURL         string     // of the API, as agents reach it; "" for its address

	given map[string]bool
}

// Listen is the URL of the direct connection: empty when there is to be none.
func (c Config) Listen() string {
	if c.ListenOff {
		return ""
	}
	return c.Direct()
}

// Direct is where to connect when a session of one's own is needed, as for
// migrations: MINOOTS_LISTEN_URL, which leads past the pooler, or else the
// database's URL.
func (c Config) Direct() string {
	if url := c.ListenURL.Reveal(); url != "" {
		return url
	}
	return c.DatabaseURL.Reveal()
}

// Given tells whether the environment or a flag gave this setting, so that it is
// not the default.
func (c Config) Given(env string) bool { return c.given[env] }

// Roles says what a replica does.
type Roles struct{ API, Kernel, Worker bool }

// Names lists the roles, in the order of the contract.
func (r Roles) Names() []string {
	names := []string{}
	for _, role := range []struct {
		on   bool
		name string
	}{{r.API, "api"}, {r.Kernel, "kernel"}, {r.Worker, "worker"}} {
		if role.on {
			names = append(names, role.name)
		}
	}
	return names
}

// String gives the form in which roles are set: "api,kernel".
func (r Roles) String() string { return strings.Join(r.Names(), ",") }
