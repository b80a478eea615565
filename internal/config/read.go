package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The readers get a text that is not empty. Their errors say what is wrong and
// what would be right, and never repeat a text that may hold a password.

func readDatabaseURL(c *Config, text string) error {
	c.DatabaseURL = SecretOf(text)
	return checkPostgres(text)
}

func readListenURL(c *Config, text string) error {
	if text == "off" {
		c.ListenOff = true
		return nil
	}
	c.ListenURL = SecretOf(text)
	return checkPostgres(text)
}

// checkPostgres says nothing of what pgx found, since that may repeat a part of
// the string that looks like a host and is a password with an odd character.
func checkPostgres(text string) error {
	if _, err := pgx.ParseConfig(text); err != nil {
		return errors.New("is not a Postgres connection string: want postgres://user:password@host:5432/database " +
			"(write / @ : ? # and % in a password as %2F %40 %3A %3F %23 %25)")
	}
	return nil
}

func readHTTPAddr(c *Config, text string) error { c.HTTPAddr = text; return checkAddr(text) }

func readOpsAddr(c *Config, text string) error { c.OpsAddr = text; return checkAddr(text) }

func checkAddr(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address: want host:port such as 127.0.0.1:8080, or :8080 for every interface", text)
	}
	return nil
}

func readRoles(c *Config, text string) error {
	for _, name := range list(text) {
		switch name {
		case "api":
			c.Roles.API = true
		case "kernel":
			c.Roles.Kernel = true
		case "worker":
			c.Roles.Worker = true
		default:
			return fmt.Errorf("%q is not a role: want some of api,kernel,worker", name)
		}
	}
	if c.Roles == (Roles{}) {
		return errors.New("names no role: want some of api,kernel,worker")
	}
	return nil
}

func readCIDRs(c *Config, text string) error {
	for _, item := range list(text) {
		prefix, err := netip.ParsePrefix(item)
		if addr, addrErr := netip.ParseAddr(item); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is not an address range: want such as 10.1.0.0/16 or fd00::/8", item)
		}
		c.WebhookAllowCIDRs = append(c.WebhookAllowCIDRs, prefix.Masked())
	}
	return nil
}

// readCommands takes absolute paths only: what a bare name would run depends on
// PATH.
func readCommands(c *Config, text string) error {
	for _, program := range list(text) {
		if !filepath.IsAbs(program) {
			return fmt.Errorf("%q is not an absolute path: want such as /usr/local/bin/notify", program)
		}
		if err := checkProgram(program); err != nil {
			return err
		}
		c.CommandAllow = append(c.CommandAllow, filepath.Clean(program))
	}
	return nil
}

// checkProgram tells at the start what would otherwise be found in the night.
func checkProgram(program string) error {
	switch info, err := os.Stat(program); {
	case err != nil:
		return fmt.Errorf("%q is not there: every replica that runs or accepts commands needs the program", program)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%q is not an executable file", program)
	}
	return nil
}

func readNATSURL(c *Config, text string) error {
	c.NATSURL = SecretOf(text)
	for _, one := range list(text) {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss" {
			return errors.New("is not a NATS URL: want nats://host:4222 or tls://host:4222")
		}
	}
	return nil
}

func readLogLevel(c *Config, text string) error {
	level, ok := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[strings.ToLower(text)]
	if !ok {
		return fmt.Errorf("%q is not a level: want debug, info, warn or error", text)
	}
	c.LogLevel = level
	return nil
}

func readLogFormat(c *Config, text string) error {
	if text != "json" && text != "text" {
		return fmt.Errorf("%q is not a format: want json or text", text)
	}
	c.LogFormat = text
	return nil
}

const maxGrace = time.Hour

func readGrace(c *Config, text string) error {
	grace, err := time.ParseDuration(text)
	if err != nil || grace <= 0 || grace > maxGrace {
		return fmt.Errorf("%q is not a time to wait: want such as 20s or 1m, up to %s", text, maxGrace)
	}
	c.ShutdownGrace = grace
	return nil
}

func readURL(c *Config, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("is not an HTTP URL: want such as http://127.0.0.1:8080")
	}
	c.URL = text
	return nil
}

func readPublicURL(c *Config, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("is not the URL of an API: want such as https://timers.example.com")
	}
	c.PublicURL = strings.TrimRight(text, "/")
	return nil
}

func readAPIKey(c *Config, text string) error {
	if strings.ContainsAny(text, " \t\r\n") {
		return errors.New("is not an API key: it contains white space")
	}
	c.APIKey = SecretOf(text)
	return nil
}

// list splits at commas and white space.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}
