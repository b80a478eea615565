// Package pgbouncer runs a pgbouncer in transaction mode before a database, for
// tests and for internal/chaos.
package pgbouncer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots/internal/rig"
)

// ErrMissing is a machine without pgbouncer.
var ErrMissing = errors.New("pgbouncer is not installed: run 'apt-get install -y pgbouncer' (Debian, Ubuntu) or 'brew install pgbouncer' (macOS)")

// Start runs one with so many connections to the database at most, and gives the
// URL through it and what ends it. ctx bounds the start alone.
func Start(ctx context.Context, databaseURL string, conns int) (through string, stop func(), err error) {
	program, err := Find()
	if err != nil {
		return "", nil, err
	}
	for attempt := 1; ; attempt++ {
		addr, stop, err := start(ctx, program, databaseURL, conns)
		if err == nil {
			location, err := url.Parse(databaseURL)
			if err != nil {
				stop()
				return "", nil, err
			}
			location.Host, location.RawQuery = addr, "sslmode=disable"
			return location.String(), stop, nil
		}
		if attempt == 3 { // somebody took the port that had been free, three times
			return "", nil, fmt.Errorf("start pgbouncer: %w", err)
		}
	}
}

// Find gives the path of the program, or ErrMissing.
func Find() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// start returns when it listens.
func start(ctx context.Context, program, target string, conns int) (addr string, stop func(), err error) {
	server, err := pgx.ParseConfig(target)
	if err != nil {
		return "", nil, err
	}
	addrs, err := rig.FreeAddrs(1)
	if err != nil {
		return "", nil, err
	}
	// Not t.TempDir(), which no other user may enter.
	dir, err := os.MkdirTemp("", "minoots-pgbouncer-")
	if err != nil {
		return "", nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	stdin, log, err := launch(program, dir, config(addrs[0], server, conns))
	if err != nil {
		remove()
		return "", nil, err
	}
	up, ended := watch(log)
	stop = func() {
		_ = stdin.Close() // which has it killed; see launch
		<-ended
		remove()
	}
	select {
	case err = <-up:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(time.Minute):
		err = errors.New("it does not come up within a minute")
	}
	if err != nil {
		stop()
	}
	return addrs[0], stop, err
}

// launch starts it, to end when stdin is closed.
func launch(program, dir, text string) (stdin io.Closer, log io.ReadCloser, err error) {
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	// The shell ends pgbouncer when its standard input does, which is when we
	// close it or die, however we die. A context would end the shell alone.
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `"$0" "$1" & trap "kill -9 $!; wait" EXIT; read -r _`, program, file)
	cmd.Dir = dir
	if err := asOrdinaryUser(cmd, dir, file); err != nil {
		return nil, nil, err
	}
	if stdin, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	// Not StderrPipe, which Wait would close before all is read.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer write.Close()
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		_ = read.Close()
		return nil, nil, err
	}
	go func() { _ = cmd.Wait() }() // killed by us
	return stdin, read, nil
}

func config(addr string, server *pgx.ConnConfig, conns int) string {
	host, port, _ := net.SplitHostPort(addr) // it came from a listener
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	database := fmt.Sprintf("* = host=%s port=%d user=%s", quoted(server.Host), server.Port, quoted(server.User))
	if server.Password != "" {
		database += " password=" + quoted(server.Password)
	}
	return fmt.Sprintf(`[databases]
%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 300
`, database, host, port, conns)
}

// asOrdinaryUser has root's command run by postgres or nobody, for pgbouncer
// refuses to be root, and gives them the files.
func asOrdinaryUser(cmd *exec.Cmd, files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		for _, file := range files {
			if err := os.Chown(file, uid, gid); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("pgbouncer does not run as root, and there is no user postgres or nobody to run it as")
}

// watch reads its log: up tells that it listens, or why it does not;
// ended, that nobody writes to the log any more.
func watch(log io.ReadCloser) (up <-chan error, ended <-chan struct{}) {
	told, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer log.Close()
		var text strings.Builder
		isUp := false
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if !isUp && strings.Contains(lines.Text(), "process up:") {
				isUp = true
				told <- nil
			}
			if !isUp {
				fmt.Fprintln(&text, lines.Text())
			}
		}
		if !isUp {
			told <- fmt.Errorf("it ended: %s", text.String())
		}
	}()
	return told, done
}
