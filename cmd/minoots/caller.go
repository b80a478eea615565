package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/config"
)

// caller gives the API client that the settings, or else the development
// service's file, describe.
func caller(cmd *cobra.Command) (*client.Client, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	url, key := cfg.URL, cfg.APIKey.Reveal()
	if url == "" || key == "" {
		dev, err := readDevFile(devDir)
		switch {
		case err != nil:
			return nil, misuse("%s and %s are not both set, and no 'minoots dev' has run in this directory", config.URL, config.APIKey)
		case url != "" && url != dev.URL: // its key is of no use elsewhere
			return nil, misuse("%s is set and %s is not", config.URL, config.APIKey)
		}
		if url == "" {
			url = dev.URL
		}
		if key == "" {
			key = dev.APIKey
		}
	}
	waits := &notice{to: cmd.ErrOrStderr()}
	return client.New(url, key, client.WithRetryNotice(func(err error) { waits.say(oneLine(err, cmd) + "; trying again") }))
}

// onAPI runs a command's work with a client of the API, as onDatabase does with
// the database.
func onAPI(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	c, err := caller(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(cmd.Context(), c)
}

// onEach runs a command's work for each of the ids that its arguments are, one
// after the other, up to the first that fails. It asks nothing of the API if one
// of them is no id.
func onEach(cmd *cobra.Command, args []string, do func(context.Context, *client.Client, minoots.ID) error) error {
	ids, err := parseIDs(args)
	if err != nil {
		return err
	}
	return onAPI(cmd, func(ctx context.Context, c *client.Client) error {
		for _, id := range ids {
			if err := do(ctx, c, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func parseIDs(args []string) ([]minoots.ID, error) {
	ids := make([]minoots.ID, len(args))
	for i, arg := range args {
		id, err := parseID(arg)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func parseID(text string) (minoots.ID, error) {
	id, err := minoots.ParseID(text)
	if err != nil {
		return id, misuse("%q is %s", text, err)
	}
	return id, nil
}

// largestPage is what the API gives at once.
const largestPage = 1000

// pageOf is how many to ask for at once when as many as limit are wanted, 0 for
// all.
func pageOf(limit int, what string) (int, error) {
	switch {
	case limit < 0:
		return 0, misuse("--limit %d: want a number of %s, or 0 for all", limit, what)
	case limit == 0:
		return largestPage, nil
	default:
		return min(limit, largestPage), nil
	}
}
