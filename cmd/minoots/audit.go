package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/config"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Hold what is stored to the rules: nothing lost, nothing twice, nothing left over",
		Long: "Reads all timers, firings, attempts, events and jobs as of one instant, in a transaction that\n" +
			"changes nothing and keeps nobody waiting, so that it can run beside a live service. It tells what\n" +
			"each check looked at and found, and how much of the disk each table takes. The exit status is 1 if\n" +
			"anything was found. docs/operations.md says what each finding means.",
		Example: "  minoots audit\n  minoots audit --since 24h --json",
		Args:    cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.DatabaseURL)
	since := cmd.Flags().String("since", "", "leave out what is older: so long ago (24h, 7d) or an instant (RFC 3339)")
	examples := cmd.Flags().Int("examples", 5, "how many of what it found each check names")
	timeout := cmd.Flags().Duration("timeout", 5*time.Minute, "how long one check may take")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := instantOrAgo(*since, time.Now())
		if err != nil {
			return misuse("--since: %s", err)
		}
		if *examples < 1 || *examples > 1000 {
			return misuse("--examples %d: want 1 to 1000", *examples)
		}
		if *timeout < time.Second {
			return misuse("--timeout %s: want a second or more", *timeout)
		}
		return onDatabase(cmd, func(ctx context.Context, d *db.DB) error {
			audit, err := d.AuditRun(ctx, db.AuditRequest{Since: from, Examples: *examples, Timeout: *timeout})
			if err != nil {
				return err
			}
			if *asJSON {
				err = printJSON(cmd.OutOrStdout(), audit)
			} else {
				err = printAudit(cmd.OutOrStdout(), &audit)
			}
			if err == nil && !audit.OK {
				err = &minoots.Error{Message: "not everything is as it must be", Hint: "docs/operations.md says what each finding means"}
			}
			return err
		})
	}
	return cmd
}

// instantOrAgo reads "24h" as that long before now, and else an instant; "" is
// the zero time.
func instantOrAgo(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := minoots.ParseDuration(text)
	if err != nil || ago <= 0 {
		return time.Time{}, fmt.Errorf("%q is neither a length of time such as 24h nor an instant such as 2026-11-23T09:00:00Z", text)
	}
	return now.Add(-time.Duration(ago)), nil
}

func printAudit(w io.Writer, audit *db.Audit) error {
	var rows [][]string
	found := 0
	for _, c := range audit.Checks {
		examples := strings.Join(c.Examples, "; ")
		if c.Found > int64(len(c.Examples)) {
			examples += " …"
		}
		if c.Found > 0 {
			found++
		}
		rows = append(rows, []string{c.Name, c.Says, strconv.FormatInt(c.Looked, 10), strconv.FormatInt(c.Found, 10), examples})
	}
	if err := printTable(w, []string{"CHECK", "WHAT HOLDS", "LOOKED AT", "FOUND", "EXAMPLES"}, rows); err != nil {
		return err
	}
	say(w, "")
	rows = nil
	for _, s := range audit.Sizes {
		rows = append(rows, []string{
			s.Table, strconv.FormatInt(s.Rows, 10), strconv.FormatInt(s.Dead, 10), bytesOf(s.TableBytes), bytesOf(s.IndexBytes),
			strconv.Itoa(s.Partitions),
		})
	}
	if err := printTable(w, []string{"TABLE", "ROWS (ABOUT)", "DEAD", "TABLE SIZE", "INDEX SIZE", "PARTITIONS"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d of %d checks found something; as of %s, in %d ms\n",
		found, len(audit.Checks), audit.At.Local().Format("2006-01-02 15:04:05"), audit.TookMs)
	return err
}

// bytesOf is a size as people read it.
func bytesOf(n int64) string {
	size, unit := float64(n), 0
	for ; size >= 1024 && unit < 4; unit++ {
		size /= 1024
	}
	return strconv.FormatFloat(size, 'f', min(unit, 1), 64) + " " + []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}
