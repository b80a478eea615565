package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Config says where a server lives and how it behaves.
type Config struct {
	// Dir is the server's home, made if it does not exist. A later Start with
	// the same Dir finds the same data. Required.
	Dir string

	// Port is the TCP port on 127.0.0.1. 0 takes the port of the last start if
	// it is free, else any free one. Defaults to 0.
	Port int

	// Durable keeps PostgreSQL's promise that a committed transaction survives
	// a power cut. Without it fsync, synchronous_commit and full_page_writes
	// are off, which makes tests faster and is fit for nothing else: the data
	// still survives a crash of the server, but not one of the machine.
	Durable bool

	// Settings are added to the server's command line (`-c name=value`) and win
	// over the settings above and the defaults: max_connections=200,
	// shared_buffers=256MB.
	Settings map[string]string

	// Log receives one line for each thing done that a user would want to know:
	// an installation, a new cluster, a changed port. Defaults to io.Discard.
	// What the server itself writes is in server.log in its home.
	Log io.Writer
}

// Server is a PostgreSQL that answers.
type Server struct {
	dsn      string
	home     string
	attached bool
	process  *process      // nil if somebody else's
	release  func()        // stops the watch over somebody else's server
	done     chan struct{} // closed when the server has ended
	discard  bool          // remove home after Stop
}

// startAttempts bounds the retries after a failure that passes: another process
// took the port first, or the kernel has not yet cleared away a killed server.
const startAttempts = 20

// Start runs a server in cfg.Dir and returns when it answers. If a server of an
// earlier run is still at work there, Start attaches to it instead. ctx bounds
// the start alone; the server lives until Stop, or until this process dies.
//
// An error says which step failed; if the server came up and went down again,
// it carries the last lines of its log.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start PostgreSQL: Config.Dir is empty")
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	home, err := openHome(cfg.Dir, cfg.Log)
	if err != nil {
		return nil, err
	}
	unlock, err := home.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()

	if server, err := home.attach(ctx); server != nil || err != nil {
		return server, err
	}
	made, err := home.madeBy()
	if err != nil {
		return nil, err
	}
	bin, err := home.binariesFor(ctx, made)
	if err != nil {
		return nil, err
	}
	if made == 0 {
		// Again, for the package may have brought the account `postgres` just now.
		if home.who, err = accountFor(home.dir); err != nil {
			return nil, err
		}
		if err := home.makeCluster(ctx, bin, cfg.Durable); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		server, err := home.launch(ctx, bin, cfg)
		if err == nil {
			return server, nil
		}
		if !passes(err, cfg.Port) || attempt == startAttempts || pause(ctx, 100*time.Millisecond) != nil {
			return nil, err
		}
	}
}

// launch starts the server once and waits until it answers.
func (h home) launch(ctx context.Context, bin Binaries, cfg Config) (*Server, error) {
	port, err := h.choosePort(cfg.Port)
	if err != nil {
		return nil, err
	}
	log, err := h.create(h.logFile())
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor

	args := append([]string{"-D", h.data()}, settings(cfg, port)...)
	cmd := h.who.command(context.Background(), bin.path("postgres"), args...) // ctx is not to end it
	cmd.Stdout, cmd.Stderr = log, log
	process, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	server := &Server{dsn: dsn(port), home: h.dir, process: process, done: process.done}

	for {
		if h.answers(ctx, port) {
			return server, h.rememberPort(port)
		}
		select {
		case <-process.done:
			tail, _ := os.ReadFile(h.logFile())
			return nil, &startError{cause: process.err, tail: lastLines(tail), file: h.logFile()}
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for PostgreSQL to answer: %w", context.Cause(ctx)), process.kill())
		case <-time.After(15 * time.Millisecond): // a start takes some 100 ms
		}
	}
}

// URL is the connection string for a database of this server; an empty name
// stands for the one the server was named with, `postgres` for one of our own.
// The user is the superuser.
func (s *Server) URL(database string) string { return withDatabase(s.dsn, database) }

// Attached reports that somebody else started the server and will stop it.
func (s *Server) Attached() bool { return s.attached }

// Done is closed when the server has ended, for whatever reason. Of a server
// named by the environment nothing is known; its Done is closed by Stop.
func (s *Server) Done() <-chan struct{} { return s.done }

// Wait blocks until Done is closed. It returns how the server ended if that was
// not asked for by Stop or Kill.
func (s *Server) Wait() error {
	<-s.done
	if s.process == nil || s.process.asked.Load() {
		return nil
	}
	tail, _ := os.ReadFile(home{dir: s.home}.logFile())
	return fmt.Errorf("PostgreSQL ended by itself: %w: %s", exitCause(s.process.err), lastLines(tail))
}

// Stop ends the server in an orderly way: open transactions are rolled back and
// clients disconnected. It returns when the server has ended, after some 20
// seconds at worst, with an error if force was needed. A server that somebody
// else started goes on. Further calls do nothing.
func (s *Server) Stop() error {
	if s.process == nil {
		s.release()
		<-s.done
		return nil
	}
	err := s.process.stop()
	if s.discard {
		err = errors.Join(err, os.RemoveAll(s.home))
	}
	return err
}

// Kill ends the server as a crash would, for tests of what happens then: Start
// on the same Dir recovers. It does nothing to a server that somebody else
// started.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	return s.process.kill()
}

// Quit ends the server as `pg_ctl stop -m immediate` does, which is a crash with
// all its processes gone when it returns. It does nothing to a server that
// somebody else started.
func (s *Server) Quit() error {
	if s.process == nil {
		return nil
	}
	if !s.process.signal(syscall.SIGQUIT, 10*time.Second) {
		return errors.New("quit PostgreSQL: it does not end")
	}
	return nil
}
