package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// lab is what the steps work with.
type lab struct {
	cfg      Config
	size     sizes
	report   *Report
	dir      string // of the run's files: the server, the replicas' logs
	server   *server
	receiver *receiver
	running  []*replica // to be stopped at the end of the step
	made     []*database
	million  *database // with the pending timers, once there is one

	// sabotage is called by tests between the creation of timers and their
	// firing, to see that a timer which gets lost is missed.
	sabotage func(context.Context, *database) error
}

func newLab(cfg Config) *lab {
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	l := &lab{cfg: cfg, size: full, report: newReport(cfg)}
	if cfg.Short {
		l.size = short
	}
	l.report.tell = func(f Figure) { l.say("      %s: %s %s", f.What, f.figure(), f.Unit) }
	return l
}

// open sets up what all steps need.
func (l *lab) open(ctx context.Context) error {
	var err error
	if l.receiver, err = startReceiver(ctx, l.cfg.ReceiverAddr, l.cfg.ReceiverURL); err != nil {
		return err
	}
	if l.cfg.URL != "" {
		return nil
	}
	if l.dir, err = makeDir(cmp.Or(l.cfg.Dir, ".minoots")); err != nil {
		return fmt.Errorf("make the bench's directory: %w", err)
	}
	l.say("a server and a migrated template in %s", l.dir)
	l.server, err = startServer(ctx, l)
	return err
}

// tidy ends what a step has left: its replicas and its databases.
func (l *lab) tidy() error {
	err := l.stopReplicas(l.running)
	l.receiver.forget()
	if l.cfg.Keep {
		return err
	}
	// Not the step's context, which may be done: what was made must go.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, d := range l.made {
		if d != l.million {
			err = errors.Join(err, d.drop(ctx))
		}
	}
	l.made = nil
	return err
}

// close ends everything, whatever open has reached.
func (l *lab) close() error {
	if l.receiver == nil {
		return nil
	}
	err := errors.Join(l.tidy(), l.receiver.close())
	if l.server == nil && l.dir == "" {
		return err
	}
	if l.server != nil {
		err = errors.Join(err, l.server.close(l.cfg.Keep))
	}
	if l.cfg.Keep {
		l.say("kept: %s (the replicas' logs are there too)", l.dir)
		return errors.Join(err, os.Remove(filepath.Join(l.dir, pidFile)))
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// say tells people what goes on.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.cfg.Progress, format+"\n", args...)
}

// pause waits, unless ctx is done first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// until calls ask every so often until it says that it is so.
func until(ctx context.Context, every, within time.Duration, what string, ask func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		so, err := ask()
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if so {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait until %s: not so after %s", what, within)
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}
