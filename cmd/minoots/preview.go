package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
)

// previewFlags are the parts of a recurrence that have a flag.
type previewFlags struct {
	zone, every, gap, overlap, after, start, end string
	count, most                                  int
}

func newPreview() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "preview [CRON]",
		Short: "Show when a recurrence is due",
		Long: "Shows the next instants of a cron expression, or of --every, with a note where the clocks\n" +
			"change. It computes by itself and needs no server.",
		Example: "  minoots preview \"0 9 * * MON-FRI\" --zone Europe/Paris\n" +
			"  minoots preview \"30 2 * * *\" --zone America/New_York --after 2027-03-12T00:00:00Z --count 4\n" +
			"  minoots preview --every 15m --json",
		Args: cobra.MaximumNArgs(1),
	}
	var f previewFlags
	flags := cmd.Flags()
	flags.StringVar(&f.zone, "zone", "", "IANA time zone of the expression (default UTC)")
	flags.StringVar(&f.every, "every", "", "instead of an expression: this long, such as 15m")
	flags.StringVar(&f.gap, "gap", "", "local times that do not exist: shift, skip (default shift)")
	flags.StringVar(&f.overlap, "overlap", "", "local times that exist twice: first, last, both (default first; both if every hour is named)")
	flags.StringVar(&f.after, "after", "", "begin after this instant: RFC 3339, or a duration from now such as 90d (default now)")
	flags.StringVar(&f.start, "start", "", "nothing before this instant; --every counts from it")
	flags.StringVar(&f.end, "end", "", "nothing after this instant")
	flags.IntVar(&f.most, "max-occurrences", 0, "nothing after so many (default no limit)")
	flags.IntVar(&f.count, "count", minoots.DefaultPreview, fmt.Sprintf("how many, %d at most", minoots.MaxPreview))
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ask, err := f.request(args)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("max-occurrences") {
			ask.Recurrence.MaxOccurrences = &f.most
		}
		preview, err := cron.Preview(ask, time.Now())
		var mistake *minoots.Error
		if errors.As(err, &mistake) {
			return misuse("%s", describe(mistake))
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), preview)
		}
		return printPreview(cmd.OutOrStdout(), preview)
	}
	return cmd
}

func (f *previewFlags) request(args []string) (minoots.RecurrencePreviewRequest, error) {
	ask := minoots.RecurrencePreviewRequest{Count: &f.count}
	r := &ask.Recurrence
	if len(args) > 0 {
		r.Cron = args[0]
	}
	if f.every != "" {
		every, err := minoots.ParseDuration(f.every)
		if err != nil {
			return ask, misuse("--every: %s", err)
		}
		r.Every = &every
	}
	if len(args) == 0 && r.Every == nil {
		return ask, misuse(`what? give an expression such as "0 9 * * MON-FRI", or --every 15m`)
	}
	r.TimeZone = f.zone
	if f.gap != "" || f.overlap != "" {
		r.DST = &minoots.DSTPolicy{Gap: f.gap, Overlap: f.overlap}
	}
	for _, flag := range []struct {
		name, text string
		to         **minoots.Instant
	}{{"--after", f.after, &ask.After}, {"--start", f.start, &r.StartAt}, {"--end", f.end, &r.EndAt}} {
		at, err := parseWhen(flag.name, flag.text)
		if err != nil {
			return ask, err
		}
		if !at.IsZero() {
			instant := minoots.InstantOf(at)
			*flag.to = &instant
		}
	}
	return ask, nil
}

func printPreview(w io.Writer, p minoots.RecurrencePreview) error {
	rows := make([][]string, len(p.Items))
	for i, item := range p.Items {
		local, err := time.Parse(time.RFC3339Nano, item.Local)
		if err != nil {
			return err
		}
		rows[i] = []string{
			local.Format("Mon 2006-01-02 15:04:05 ") + item.Abbreviation, item.At.Format("2006-01-02T15:04:05.999999Z"), item.Note,
		}
	}
	if err := printTable(w, []string{"LOCAL", "UTC", "NOTE"}, rows); err != nil {
		return err
	}
	end := ""
	if p.Ends {
		end = ", and no more"
	}
	say(w, "%s by time zone database %s%s", p.TimeZone, p.TZData, end)
	return nil
}
