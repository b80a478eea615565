package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/minoots/minoots/internal/rig"
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
	if cfg.Found > 0 {
		l.size.found = cfg.Found
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
	if l.dir, err = rig.MakeDir(cmp.Or(l.cfg.Dir, ".minoots"), "bench-"); err != nil {
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
		return errors.Join(err, rig.KeepDir(l.dir))
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// say tells people what goes on.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.cfg.Progress, format+"\n", args...)
}

// As all steps know them.
var (
	pause = rig.Pause
	until = rig.Until
)
