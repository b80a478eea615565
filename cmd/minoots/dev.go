package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/config"
)

// devDir is where dev and demo keep their things, in the current directory.
const devDir = ".minoots"

// devTenant is the tenant that dev makes.
const devTenant = "dev"

func newDev() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Everything in one command: Postgres, schema, a tenant, a key, all roles",
		Long: "Runs the whole service on this machine, with a Postgres of its own in " + devDir + "/ unless\n" +
			config.DatabaseURL + " names one. Webhooks may reach this machine. The key is made once and kept in\n" +
			devDir + "/dev.json, where the commands that call the API find it.",
		Example: "  minoots dev\n  minoots timers create --in 5s --name hello && minoots timers watch",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), without(config.Serve, config.RolesName)...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings(cmd)
		if err != nil {
			return err
		}
		l, err := startLocal(cmd.Context(), cfg, filepath.Join(devDir, "postgres"), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return errors.Join(runDev(cmd, l), l.stop())
	}
	return cmd
}

func runDev(cmd *cobra.Command, l *local) error {
	ctx, errOut := cmd.Context(), cmd.ErrOrStderr()
	dev, err := l.devKey(ctx)
	if err != nil {
		return err
	}
	api, err := listenNear(ctx, l.cfg.HTTPAddr, config.HTTPAddr, l.cfg.Given(config.HTTPAddr), errOut)
	if err != nil {
		return err
	}
	ops, err := listenNear(ctx, l.cfg.OpsAddr, config.OpsAddr, l.cfg.Given(config.OpsAddr), errOut)
	if err != nil {
		return errors.Join(err, api.Close())
	}
	r, err := newReplica(ctx, replicaConfig{Config: l.cfg, Log: newLog(errOut, l.cfg), HTTP: api, Ops: ops})
	if err != nil {
		return errors.Join(err, api.Close(), ops.Close())
	}
	dev.URL, dev.Ops = "http://"+api.Addr().String(), "http://"+ops.Addr().String()
	return l.run(ctx, r, func() error {
		if err := writeDevFile(devDir, dev); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), devText, dev.URL, dev.Ops, l.cfg.DatabaseURL, dev.APIKey, devTenant,
			filepath.Join(devDir, "dev.json"), dev.URL, dev.APIKey, os.Args[0]) // it may not be in PATH
		return err
	})
}

const devText = `
minoots dev is ready; Ctrl-C ends it.

  API       %s
  ops       %s/readyz, /metrics
  Postgres  %s
  key       %s
            of tenant %s, kept in %s

Try it:
  curl -s %s/v1/timers -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"name": "hello", "duration": "5s"}'
  %s timers watch

`

// devFile is what dev tells the other commands.
type devFile struct {
	URL    string `json:"url"`
	Ops    string `json:"opsUrl"`
	Tenant string `json:"tenant"`
	APIKey string `json:"apiKey"`
}

func readDevFile(dir string) (devFile, error) {
	var dev devFile
	b, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err == nil {
		err = json.Unmarshal(b, &dev)
	}
	if err == nil && (dev.URL == "" || dev.APIKey == "") {
		err = errors.New("dev.json is incomplete")
	}
	return dev, err
}

// writeDevFile replaces the file at once, readable by its owner only: it has a
// key in it.
func writeDevFile(dir string, dev devFile) error {
	b, err := json.MarshalIndent(dev, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	temp, err := os.CreateTemp(dir, "dev.json.*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	_, err = temp.Write(append(b, '\n'))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, "dev.json"))
	}
	if err != nil {
		return fmt.Errorf("keep the key: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}

// devKey gives the key of the last run if this database knows it, else a new one.
func (l *local) devKey(ctx context.Context) (devFile, error) {
	if dev, err := readDevFile(devDir); err == nil {
		who, err := l.db.KeyFind(ctx, minoots.HashCredential(dev.APIKey))
		switch {
		case err == nil && who.TenantID == devTenant:
			return dev, nil
		case err != nil && minoots.ErrorCode(err) != minoots.CodeNotFound:
			return devFile{}, err
		}
	}
	if err := l.ensureTenant(ctx, devTenant); err != nil {
		return devFile{}, err
	}
	key, err := createKey(ctx, l.db, devTenant, "minoots dev", []minoots.Role{minoots.RoleTenantAdmin})
	return devFile{Tenant: devTenant, APIKey: key.Secret}, err
}

// without is a list but for one.
func without(list []string, one string) []string {
	var rest []string
	for _, item := range list {
		if item != one {
			rest = append(rest, item)
		}
	}
	return rest
}
