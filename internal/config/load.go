package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// AddFlags gives a command the flags of some settings. Their default is shown in
// the help and not set, so that a flag that was given can be told from one that
// was not: it wins over the environment.
func AddFlags(flags *pflag.FlagSet, names ...string) {
	for _, s := range Settings {
		if !slices.Contains(names, s.Env) {
			continue
		}
		doc := s.Doc + " [" + s.Env + "]"
		if s.Default != "" {
			doc = fmt.Sprintf("%s (default %s) [%s]", s.Doc, s.Default, s.Env)
		}
		flags.String(s.Flag(), "", strings.ReplaceAll(doc, "`", "'")) // pflag reads back quotes as a type's name
	}
}

// Error is all that is wrong with the settings.
type Error struct{ Mistakes []string }

// Error implements error, in one line.
func (e *Error) Error() string { return strings.Join(e.Mistakes, "; ") }

// Load reads the settings from the flags that were given, else from the
// environment, else takes the defaults; an empty text is as good as none. The
// error, an *Error, has every mistake, and every one of the required settings
// that is not there. Settings for which the command has no flag are left alone,
// so that a mistake in one does not stop a command that has no use for it.
func Load(flags *pflag.FlagSet, getenv func(string) string, required ...string) (Config, error) {
	c := Config{given: map[string]bool{}}
	var mistakes []string
	for _, s := range Settings {
		flag := flags.Lookup(s.Flag())
		if flag == nil {
			continue
		}
		text, from := strings.TrimSpace(getenv(s.Env)), s.Env
		if flag.Changed {
			text, from = strings.TrimSpace(flag.Value.String()), "--"+s.Flag()
		}
		if text == "" {
			if slices.Contains(required, s.Env) {
				mistakes = append(mistakes, fmt.Sprintf("%s (or --%s) is not set: %s", s.Env, s.Flag(), s.Doc))
			}
			text = s.Default
		} else {
			c.given[s.Env] = true
		}
		if text == "" {
			continue
		}
		if err := s.read(&c, text); err != nil {
			mistakes = append(mistakes, from+" "+err.Error())
		}
	}
	if len(mistakes) > 0 {
		return c, &Error{mistakes}
	}
	return c, nil
}
