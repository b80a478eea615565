package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/seal"
)

func newSecrets() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "How webhook signing secrets are kept: make a key, seal them with it",
		Long: "Signing secrets, and the headers of subscriptions, are sealed in the database with an operator's key,\n" +
			config.SecretsKey + ". To change it, put the new key before the old one on every replica, run minoots secrets seal, and then take the\n" +
			"old one away. docs/security.md has the steps.",
		Example: "  minoots secrets key > /etc/minoots/secrets.key\n  minoots secrets seal",
	}
	cmd.AddCommand(newSecretsKey(), newSecretsStatus(),
		secretsCommand("seal", "Seal all secrets with the first key: plain ones, and those of other keys", false),
		secretsCommand("unseal", "Let all secrets stand as they are: before a version that knows no keys", true),
	)
	return cmd
}

func newSecretsKey() *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Make a key and print it", Args: cobra.NoArgs,
		Long:    "Prints base64 of 32 random bytes on standard output, and keeps it nowhere.",
		Example: "  export " + config.SecretsKey + "=$(minoots secrets key)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), seal.NewKey())
			return err
		},
	}
}

func newSecretsStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Count the secrets by the key that sealed them", Args: cobra.NoArgs,
		Example: "  minoots secrets status --json",
	}
	config.AddFlags(cmd.Flags(), append([]string{config.DatabaseURL}, config.Keys...)...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			keys, err := d.SecretKeys(ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), append([]db.SecretKey{}, keys...))
			}
			var rows [][]string
			for _, k := range keys {
				name, known := k.KeyID, "yes"
				if name == "" {
					name = "(plain)"
				}
				if !k.Known {
					known = "no"
				}
				rows = append(rows, []string{name, known, strconv.FormatInt(k.Live, 10), strconv.FormatInt(k.Secrets, 10)})
			}
			return printTable(cmd.OutOrStdout(), []string{"KEY", "READABLE HERE", "LIVE", "ALL"}, rows)
		})
	}
	return cmd
}

// secretsCommand seals or unseals.
func secretsCommand(name, short string, plain bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Long:    short + ".\nReplicas may run meanwhile, and it may be broken off and run again.",
		Example: "  minoots secrets " + name,
	}
	config.AddFlags(cmd.Flags(), append([]string{config.DatabaseURL}, config.Keys...)...)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := settings(cmd)
		if err != nil {
			return err
		}
		if cfg.SecretsKeys == nil {
			return misuse("there is no key: set %s or %s; minoots secrets key makes one", config.SecretsKey, config.SecretsKeyFile)
		}
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			done, err := d.SecretReseal(ctx, plain, func(so db.Reseal) {
				say(cmd.ErrOrStderr(), "%d %sed, %d not readable", so.Sealed, name, so.Unreadable)
			})
			if *asJSON && err == nil {
				err = printJSON(cmd.OutOrStdout(), done)
			}
			if err == nil && done.Unreadable > 0 {
				err = &minoots.Error{
					Message: fmt.Sprintf("%d secrets were left as they are", done.Unreadable), Err: done.Cause,
					Hint: "with their key lost, POST /v1/signing-secrets/rotate replaces them",
				}
			}
			return err
		})
	}
	return cmd
}
