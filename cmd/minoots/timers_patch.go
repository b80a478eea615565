package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

func newTimersPatch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "patch ID...",
		Short: "Change timers that have not fired",
		Long: "Changes scheduled or paused timers: what a flag names is replaced, all else stays. A file has\n" +
			"the API's merge patch, in which null takes a field away; a flag replaces what the file says.",
		Example: "  minoots timers patch 01890a5d-ac96-774b-bcce-b302099a8057 --in 2h --label urgent=no --unlabel session\n" +
			"  minoots timers patch 01890a5d-ac96-774b-bcce-b302099a8057 --name later --if-match 3 --json\n" +
			"  echo '{\"metadata\": null}' | minoots timers patch 01890a5d-ac96-774b-bcce-b302099a8057 --file -",
	}
	var f timerFlags
	flags := cmd.Flags()
	flags.StringVar(&f.in, "in", "", "fire this long from now: 90s, 1h30m, 2d, PT1H")
	flags.StringVar(&f.at, "at", "", "fire at this instant, RFC 3339")
	flags.StringVar(&f.name, "name", "", "the timer's name; may be empty")
	flags.StringArrayVar(&f.labels, "label", nil, "set a label, k=v; repeatable")
	unlabel := flags.StringArray("unlabel", nil, "remove the label of this key; repeatable")
	flags.StringVar(&f.webhook, "webhook", "", "send a webhook to this URL, and do nothing else")
	flags.StringVar(&f.metadata, "metadata", "", "any JSON; an object is merged into the timer's")
	flags.StringVar(&f.file, "file", "", "read a merge patch from this file, - for standard input")
	version := flags.Int64("if-match", 0, "only if the timer has this version")
	cmd.MarkFlagsMutuallyExclusive("in", "at")
	changesTimers(cmd, func() (timerChange, error) {
		patch, err := f.patch(cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		if flags.Changed("name") {
			patch["name"] = f.name
		}
		if err := patchLabels(patch, f.labels, *unlabel); err != nil {
			return nil, err
		}
		if len(patch) == 0 {
			return nil, misuse("nothing to change: give --in, --name, --label or another flag, or --file")
		}
		return func(c *client.Client, ctx context.Context, id minoots.ID) (minoots.Timer, error) {
			return c.PatchTimer(ctx, id, patch, *version)
		}, nil
	})
	return cmd
}

// patch gives the file's patch and, over it, the flags that a new timer has too.
func (f *timerFlags) patch(in io.Reader) (map[string]any, error) {
	patch := map[string]any{}
	if f.file != "" {
		if f.file != "-" {
			opened, err := os.Open(f.file)
			if err != nil {
				return nil, misuse("--file: %s", err)
			}
			defer func() { _ = opened.Close() }()
			in = opened
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.file, err)
		}
		var fields map[string]json.RawMessage
		if err := strictJSON(b, &fields); err != nil || fields == nil {
			return nil, misuse("--file %s is not a merge patch: want a JSON object", f.file)
		}
		for name, value := range fields {
			patch[name] = value
		}
	}
	given := *f
	given.labels = nil // patchLabels has them
	var spec minoots.TimerSpec
	if err := given.apply(&spec); err != nil {
		return nil, err
	}
	if spec.Duration != nil {
		patch["duration"] = spec.Duration
		delete(patch, "fireAt")
	}
	if spec.FireAt != nil {
		patch["fireAt"] = spec.FireAt
		delete(patch, "duration")
	}
	if spec.Metadata != nil {
		patch["metadata"] = spec.Metadata
	}
	if spec.ActionBundle != nil {
		patch["actionBundle"] = spec.ActionBundle
	}
	return patch, nil
}

func patchLabels(patch map[string]any, set, unset []string) error {
	labels, err := parseLabels(set)
	if err != nil || len(labels)+len(unset) == 0 {
		return err
	}
	changes := map[string]any{}
	for _, k := range unset {
		changes[k] = nil
	}
	for k, v := range labels {
		changes[k] = v
	}
	patch["labels"] = changes
	return nil
}
