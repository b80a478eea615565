package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/config"
)

func newTimersImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Schedule the timers of a file, one JSON document a line",
		Long: "Reads a timer's JSON from each line of a file, or of standard input (-), and schedules them in batches.\n\n" +
			"It can be stopped and run again without making a timer twice: each line has an idempotency key, its own\n" +
			"`idempotencyKey`, or one of the import's name, the line's number and its text. The name is the file's,\n" +
			"unless --as gives another; standard input needs --as. Lines may be added at the end and wrong ones\n" +
			"corrected in between. Keys are remembered for two days.\n\n" +
			"A line that is no timer ends the import before the batch that it is in; --skip-invalid reports it, and goes on.",
		Example: "  minoots timers import timers.ndjson\n" +
			"  jq -c '.[]' timers.json | minoots timers import - --as monday --skip-invalid --json",
		Args: cobra.ExactArgs(1),
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	im := &importer{}
	cmd.Flags().StringVar(&im.name, "as", "", "the import's name, for its idempotency keys; defaults to the file's")
	cmd.Flags().IntVar(&im.batch, "batch", 1000, "timers of one request, 10000 at most")
	cmd.Flags().IntVar(&im.inFlight, "in-flight", 3, "requests at once, 16 at most")
	cmd.Flags().BoolVar(&im.skipInvalid, "skip-invalid", false, "leave out lines that are no timers")
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case im.batch < 1 || im.batch > 10_000:
			return misuse("--batch %d: want 1 to 10000", im.batch)
		case im.inFlight < 1 || im.inFlight > 16:
			return misuse("--in-flight %d: want 1 to 16", im.inFlight)
		}
		in, size, err := openImport(args[0], cmd.InOrStdin())
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		if im.name == "" {
			if args[0] == "-" {
				return misuse("--as: standard input has no name, by which a second run would know the lines of the first")
			}
			im.name = filepath.Base(args[0])
		}
		if im.client, err = caller(cmd); err != nil {
			return err
		}
		defer im.client.Close()
		im.progress = newImportProgress(cmd.ErrOrStderr(), size)
		im.report = func(line int, problem string) { im.progress.note("line %d: %s", line, problem) }
		began := time.Now()
		err = im.run(cmd.Context(), in)
		im.progress.end()
		sum := im.summary(time.Since(began))
		if *asJSON {
			err = errors.Join(err, printLine(cmd.OutOrStdout(), sum))
		} else {
			say(cmd.OutOrStdout(), "%s", sum)
		}
		return importError(cmd.Context(), err, args[0])
	}
	return cmd
}

// importError says that an import that was cut short can be taken up again.
func importError(ctx context.Context, err error, file string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; run it again to go on: what %s has scheduled is not scheduled twice", file)
	}
	return fmt.Errorf("%w; run it again to go on: nothing is scheduled twice", err)
}

// openImport opens the file and tells its size, 0 if that is unknown.
func openImport(file string, in io.Reader) (io.ReadCloser, int64, error) {
	if file == "-" {
		return io.NopCloser(in), 0, nil
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, 0, misuse("%s", err)
	}
	info, err := opened.Stat()
	if err == nil && info.Mode().IsRegular() {
		return opened, info.Size(), nil
	}
	return opened, 0, nil
}

// importSummary is what an import came to.
type importSummary struct {
	Lines     int     `json:"lines"`
	Created   int     `json:"created"`
	Already   int     `json:"already"` // created by an earlier run
	Invalid   int     `json:"invalid"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
}

// String is for people.
func (s importSummary) String() string {
	text := fmt.Sprintf("%d timers scheduled in %.1f s (%.0f/s)", s.Created, s.Seconds, s.PerSecond)
	if s.Already > 0 {
		text += fmt.Sprintf(", %d were already", s.Already)
	}
	if s.Invalid > 0 {
		text += fmt.Sprintf(", %d lines are no timers", s.Invalid)
	}
	return text
}
