package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

// timerFlags are the parts of a timer that have a flag.
type timerFlags struct {
	in, at, name, by, webhook, metadata, file string
	labels                                    []string
	recur                                     recurFlags
}

func newTimersCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Schedule a timer",
		Long: "Schedules a timer from flags, from a file with the API's JSON, or from both: a flag replaces\n" +
			"what the file says. A file with a list of timers schedules them all, or none.",
		Example: "  minoots timers create --in 45m --name resume-research --label session=s-17 --webhook https://example.com/hook\n" +
			"  minoots timers create --at 2026-12-24T18:00:00+01:00 --webhook https://example.com/hook --metadata '{\"candles\": 4}'\n" +
			"  minoots timers create --cron \"0 9 * * MON-FRI\" --zone Europe/Paris --webhook https://example.com/standup\n" +
			"  minoots timers create --every 15m --jitter 30s --misfire skip --webhook https://example.com/poll\n" +
			"  minoots timers create --file timer.json --idempotency-key wake-s-17\n" +
			"  jq -n '{name: \"from stdin\", duration: \"1h\"}' | minoots timers create --file -",
		Args: cobra.NoArgs,
	}
	config.AddFlags(cmd.Flags(), config.Caller...)
	var f timerFlags
	cmd.Flags().StringVar(&f.in, "in", "", "fire this long from now: 90s, 1h30m, 2d, PT1H")
	cmd.Flags().StringVar(&f.at, "at", "", "fire at this instant, RFC 3339")
	f.recur.add(cmd.Flags())
	cmd.Flags().StringVar(&f.name, "name", "", "the timer's name")
	cmd.Flags().StringVar(&f.by, "requested-by", "", "who asks, for the record")
	cmd.Flags().StringArrayVar(&f.labels, "label", nil, "a label, k=v; repeatable")
	cmd.Flags().StringVar(&f.webhook, "webhook", "", "send a webhook to this URL")
	cmd.Flags().StringVar(&f.metadata, "metadata", "", "any JSON; the webhook's receiver gets it")
	cmd.Flags().StringVar(&f.file, "file", "", "read the timer's JSON from this file, - for standard input")
	key := cmd.Flags().String("idempotency-key", "", "a text of yours: repeating the command with it makes no second timer")
	asJSON := addJSON(cmd)
	cmd.MarkFlagsMutuallyExclusive("in", "at", "every", "cron")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		specs, list, err := f.specs(cmd.InOrStdin())
		if err != nil {
			return err
		}
		if list && *key != "" {
			return misuse("--idempotency-key is for one timer, and the file has a list")
		}
		c, err := caller(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		return createTimers(cmd, c, specs, list, *key, *asJSON)
	}
	return cmd
}

func createTimers(cmd *cobra.Command, c *client.Client, specs []minoots.TimerSpec, list bool, key string, asJSON bool) error {
	var timers []minoots.Timer
	var err error
	if list {
		timers, err = c.CreateTimers(cmd.Context(), specs)
	} else {
		timers = make([]minoots.Timer, 1)
		timers[0], err = c.CreateTimer(cmd.Context(), specs[0], key)
	}
	switch {
	case err != nil:
		return err
	case asJSON && list:
		return printJSON(cmd.OutOrStdout(), timers)
	case asJSON:
		return printJSON(cmd.OutOrStdout(), timers[0])
	}
	for _, t := range timers {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s, due %s (%s)\n",
			t.ID, t.Status, here(t.FireAt), relative(t.FireAt.Time, time.Now())); err != nil {
			return err
		}
	}
	return nil
}

// specs gives what is to be scheduled, and whether it is a list.
func (f *timerFlags) specs(in io.Reader) (specs []minoots.TimerSpec, list bool, err error) {
	specs = make([]minoots.TimerSpec, 1)
	if f.file != "" {
		if specs, list, err = readSpecs(f.file, in); err != nil {
			return nil, false, err
		}
	}
	for i := range specs {
		if err := f.apply(&specs[i]); err != nil {
			return nil, false, err
		}
	}
	if s := specs[0]; f.file == "" && s.Duration == nil && s.FireAt == nil && s.Recurrence == nil {
		return nil, false, misuse("when? give --in 45m, --at 2026-12-24T18:00:00Z, --every 15m, --cron \"0 9 * * MON-FRI\" or --file")
	}
	return specs, list, nil
}

// apply puts the flags that were given into a spec.
func (f *timerFlags) apply(s *minoots.TimerSpec) error {
	if f.in != "" {
		d, err := minoots.ParseDuration(f.in)
		if err != nil {
			return misuse("--in %q: %s", f.in, err)
		}
		s.Duration, s.FireAt, s.Recurrence = &d, nil, nil
	}
	if f.at != "" {
		var at minoots.Instant
		if err := at.UnmarshalText([]byte(f.at)); err != nil {
			return misuse("--at %q: %s", f.at, err)
		}
		s.Duration, s.FireAt, s.Recurrence = nil, &at, nil
	}
	if err := f.recur.apply(s); err != nil {
		return err
	}
	if f.name != "" {
		s.Name = f.name
	}
	if f.by != "" {
		s.RequestedBy = f.by
	}
	labels, err := parseLabels(f.labels)
	if err != nil {
		return err
	}
	for k, v := range s.Labels {
		if _, given := labels[k]; !given && labels != nil {
			labels[k] = v
		}
	}
	if labels != nil {
		s.Labels = labels
	}
	if f.metadata != "" {
		if !json.Valid([]byte(f.metadata)) {
			return misuse("--metadata is not JSON: want such as '{\"candles\": 4}'")
		}
		s.Metadata = json.RawMessage(f.metadata)
	}
	if f.webhook != "" {
		parameters, err := json.Marshal(map[string]string{"url": f.webhook})
		if err != nil {
			return misuse("--webhook: %s", err)
		}
		s.ActionBundle = &minoots.Bundle{Actions: []minoots.Action{
			{ID: "webhook", Kind: minoots.KindWebhook, Parameters: parameters},
		}}
	}
	return nil
}

// readSpecs reads one timer, a list of timers, or the body of a batch.
func readSpecs(file string, in io.Reader) (specs []minoots.TimerSpec, list bool, err error) {
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, false, misuse("--file: %s", err)
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", file, err)
	}
	b = bytes.TrimSpace(b)
	var batch struct {
		Timers []minoots.TimerSpec `json:"timers"`
	}
	switch {
	case len(b) > 0 && b[0] == '[':
		err, list = strictJSON(b, &specs), true
	case strictJSON(b, &batch) == nil:
		specs, list = batch.Timers, true
	default:
		specs = make([]minoots.TimerSpec, 1)
		err = strictJSON(b, &specs[0])
	}
	if err != nil {
		return nil, false, misuse("--file %s is not a timer: %s", file, err)
	}
	if len(specs) == 0 {
		return nil, false, misuse("--file %s has no timers", file)
	}
	return specs, list, nil
}

// strictJSON reads one value and refuses unknown fields, which are slips of the
// pen, as the API would.
func strictJSON(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after its end")
	}
	return nil
}
