package config

import (
	"fmt"
	"time"

	"github.com/minoots/minoots"
)

const day = 24 * time.Hour

// The least times: history goes by the week, so less than a day says nothing; a
// timer must outlive its idempotency key, which is known for two days.
const (
	minHistoryRetention  = day
	minFinishedRetention = 3 * day
)

func readHistoryRetention(c *Config, text string) (err error) {
	c.HistoryRetention, err = readRetention(text, minHistoryRetention)
	return err
}

func readFinishedRetention(c *Config, text string) (err error) {
	c.FinishedRetention, err = readRetention(text, minFinishedRetention)
	return err
}

// readRetention gives 0 for "off".
func readRetention(text string, least time.Duration) (time.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	d, err := minoots.ParseDuration(text)
	if kept := time.Duration(d); err == nil && kept >= least && kept <= minoots.MaxHorizon {
		return kept, nil
	}
	return 0, fmt.Errorf("%q is not a time to keep things: want such as 90d, from %s up, or off for ever", text, minoots.Duration(least))
}
