package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/tzdb"
)

// version is set by the linker for a release: -X main.version=v1.2.3.
var version = ""

// build is what is known of this binary.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Time     string `json:"time"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	TZData   string `json:"tzdata"`
}

func buildInfo() build {
	b := build{
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, TZData: tzdb.Version(),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "dev"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Which version this is",
		Example: "  minoots version --json",
		Args:    cobra.NoArgs,
	}
	asJSON := addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := buildInfo()
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), b)
		}
		line := "minoots " + b.Version
		if b.Commit != "" {
			line += " (" + short(b.Commit, 13)
			if b.Modified {
				line += ", modified"
			}
			line += ")"
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s tzdata %s\n", line, b.Go, b.Platform, b.TZData)
		return err
	}
	return cmd
}
