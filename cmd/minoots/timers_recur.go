package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/minoots/minoots"
)

// recurFlags are the flags of a timer that fires again and again, and of what
// becomes of one that is late.
type recurFlags struct {
	every, cron, zone, start, end, misfire string
	most                                   int
	jitter, grace, late                    time.Duration
}

func (f *recurFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.every, "every", "", "fire again and again, this far apart: 15m, 2d; see minoots preview")
	flags.StringVar(&f.cron, "cron", "", "fire again and again, by a cron expression; see minoots preview")
	flags.StringVar(&f.zone, "zone", "", "IANA time zone of --cron (default UTC)")
	flags.StringVar(&f.start, "start", "", "nothing before this instant; --every counts from it")
	flags.StringVar(&f.end, "end", "", "nothing after this instant")
	flags.IntVar(&f.most, "max-occurrences", 0, "nothing after so many (default no limit)")
	flags.StringVar(&f.misfire, "misfire", "", "what was missed in an outage: fire_once (default), fire_all, skip")
	flags.DurationVar(&f.grace, "grace", 0, "how late is not yet missed (default 1m)")
	flags.DurationVar(&f.late, "max-lateness", 0, "later than this a firing is skipped (default never)")
	flags.DurationVar(&f.jitter, "jitter", 0, "spread the firings over this window after their instant")
}

// apply puts the flags that were given into a spec.
func (f *recurFlags) apply(s *minoots.TimerSpec) error {
	if f.jitter != 0 {
		s.JitterMs = f.jitter.Milliseconds()
	}
	if f.misfire != "" || f.grace != 0 || f.late != 0 {
		s.Misfire = &minoots.Misfire{Policy: minoots.MisfirePolicy(f.misfire), GraceMs: f.grace.Milliseconds(), MaxLatenessMs: f.late.Milliseconds()}
	}
	if f.every == "" && f.cron == "" {
		if f.zone != "" || f.start != "" || f.end != "" || f.most != 0 {
			return misuse("--zone, --start, --end and --max-occurrences go with --every or --cron")
		}
		return nil
	}
	r := &minoots.Recurrence{Cron: f.cron, TimeZone: f.zone}
	if f.every != "" {
		every, err := minoots.ParseDuration(f.every)
		if err != nil {
			return misuse("--every %q: %s", f.every, err)
		}
		r.Every = &every
	}
	if f.most != 0 {
		r.MaxOccurrences = &f.most
	}
	for _, bound := range []struct {
		flag, text string
		to         **minoots.Instant
	}{{"--start", f.start, &r.StartAt}, {"--end", f.end, &r.EndAt}} {
		at, err := parseWhen(bound.flag, bound.text)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			instant := minoots.InstantOf(at)
			*bound.to = &instant
		}
	}
	s.Duration, s.FireAt, s.Recurrence = nil, nil, r
	return nil
}
