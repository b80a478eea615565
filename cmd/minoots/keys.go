package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		Short:   "Make, list and revoke API keys, directly on the database",
		Example: "  export MINOOTS_API_KEY=$(minoots keys create --tenant acme --name laptop)",
	}
	cmd.AddCommand(newKeysCreate(), newKeysList(), newKeysRevoke())
	return cmd
}

// madeKey is a key with its secret, which is shown this once.
type madeKey struct {
	minoots.Key
	Secret string `json:"key"`
}

// createKey makes a key and keeps its hash.
func createKey(ctx context.Context, d *db.DB, tenant, name string, roles []minoots.Role) (madeKey, error) {
	secret, prefix, hash := minoots.NewCredential()
	key, err := d.KeyCreate(ctx, minoots.Key{
		ID: minoots.NewID(), TenantID: tenant, Name: name, Prefix: prefix, Roles: roles,
	}, hash)
	return madeKey{key, secret}, err
}

func newKeysCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --tenant ID",
		Short: "Make a key and print it, this once",
		Long:  "Prints the key alone on standard output. It is kept only as a hash and cannot be shown again.",
		Example: "  minoots keys create --tenant acme\n" +
			"  minoots keys create --tenant acme --role timer.read --role timer.write --name dashboard",
		Args: cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	tenant := addTenant(cmd)
	name := cmd.Flags().String("name", "", "the key's name, for people")
	roles := cmd.Flags().StringSlice("role", []string{string(minoots.RoleTenantAdmin)}, "what it may do; repeatable: "+roleNames())
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var rights []minoots.Role
		for _, r := range *roles {
			right := minoots.Role(strings.TrimSpace(r))
			if !slices.Contains(minoots.Roles, right) {
				return misuse("--role %q: want one of %s", r, roleNames())
			}
			rights = append(rights, right)
		}
		if err := minoots.ValidateRoles(rights); err != nil {
			return misuse("%s", err)
		}
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			key, err := createKey(ctx, d, *tenant, *name, rights)
			if err != nil {
				return tenantHint(err, *tenant)
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), key)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Secret)
			return err
		})
	}
	return cmd
}

func newKeysList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list --tenant ID",
		Short:   "List a tenant's keys, revoked ones too",
		Example: "  minoots keys list --tenant acme",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	tenant := addTenant(cmd)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			if _, err := d.TenantGet(ctx, *tenant); err != nil {
				return tenantHint(err, *tenant)
			}
			const page = 1000
			all := []minoots.Key{}
			for after := (minoots.ID{}); ; after = all[len(all)-1].ID {
				keys, err := d.KeyPage(ctx, *tenant, after, page)
				if err != nil {
					return err
				}
				all = append(all, keys...)
				if len(keys) < page {
					break
				}
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, k := range all {
				var roles []string
				for _, r := range k.Roles {
					roles = append(roles, string(r))
				}
				rows = append(rows, []string{
					k.ID.String(), k.Prefix + "…", k.Name, strings.Join(roles, ","), here(k.CreatedAt), hereOrDash(k.RevokedAt),
				})
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "KEY", "NAME", "ROLES", "CREATED", "REVOKED"}, rows)
		})
	}
	return cmd
}

func newKeysRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke --tenant ID KEY-ID",
		Short:   "End a key",
		Long:    "Ends a key, named by its id (see minoots keys list). Replicas forget it within seconds.",
		Example: "  minoots keys revoke --tenant acme 01890a5d-ac96-774b-bcce-b302099a8057",
		Args:    cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	tenant := addTenant(cmd)
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			key, err := d.KeyRevoke(ctx, *tenant, id)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), key)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s revoked\n", key.ID)
			return err
		})
	}
	return cmd
}

func addTenant(cmd *cobra.Command) *string {
	tenant := cmd.Flags().String("tenant", "", "the tenant's id (required)")
	_ = cmd.MarkFlagRequired("tenant")
	return tenant
}

func roleNames() string {
	names := make([]string, len(minoots.Roles))
	for i, r := range minoots.Roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// tenantHint says how to get a tenant that is not there.
func tenantHint(err error, tenant string) error {
	if minoots.ErrorCode(err) != minoots.CodeNotFound {
		return err
	}
	return &minoots.Error{
		Code: minoots.CodeNotFound, Message: fmt.Sprintf("no tenant %q", tenant),
		Hint: "see 'minoots tenants list', or make it: 'minoots tenants create ID'",
	}
}
