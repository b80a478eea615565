package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots/internal/config"
)

func newEnvironment() *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "The settings: environment variables and their flags",
		Long: "Every setting is an environment variable and a flag; the flag wins. Each command has the\n" +
			"flags that it has a use for. All mistakes are reported at once, before anything starts.\n\n" + config.Table(),
	}
}

// settings reads what the command's flags and the environment say.
func settings(cmd *cobra.Command, required ...string) (config.Config, error) {
	return config.Load(cmd.Flags(), os.Getenv, required...)
}

// newLog logs as the settings say: to a terminal in text, else in JSON.
func newLog(w io.Writer, cfg config.Config) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || cfg.LogFormat == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// isTerminal tells whether people read what is written there.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && file.Name() != os.DevNull
}
