package testdb

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
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PgBouncer starts a pgbouncer in transaction mode before the database, with no
// more than two connections to it so that statements change connections all the
// time, and gives the URL through it. It ends with the test.
//
// Without pgbouncer the test fails rather than being skipped: that mode is
// supported, and a test that nobody runs supports nothing.
func (d *DB) PgBouncer(t testing.TB) string {
	t.Helper()
	program, err := findPgBouncer()
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	for attempt := 1; ; attempt++ {
		port, err := startPgBouncer(t, program, d.URL)
		if err == nil {
			location, err := url.Parse(d.URL)
			if err != nil {
				t.Fatalf("testdb: %v", err)
			}
			location.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			location.RawQuery = "sslmode=disable"
			return location.String()
		}
		if attempt == 3 { // somebody took the port that had been free, three times
			t.Fatalf("testdb: start pgbouncer: %v", err)
		}
	}
}

func findPgBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("this test needs pgbouncer, which is not installed: run 'apt-get install -y pgbouncer' (Debian, Ubuntu) or 'brew install pgbouncer' (macOS)")
}

// startPgBouncer returns when it listens.
func startPgBouncer(t testing.TB, program, target string) (port int, err error) {
	config, err := pgx.ParseConfig(target)
	if err != nil {
		return 0, err
	}
	if port, err = freePort(t.Context()); err != nil {
		return 0, err
	}
	// Not t.TempDir(), which no other user may enter.
	dir, err := os.MkdirTemp("", "minoots-pgbouncer-")
	if err != nil {
		return 0, err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(pgBouncerConfig(port, config)), 0o600); err != nil {
		return 0, err
	}

	// The shell ends pgbouncer when its standard input does, which is when the
	// test closes it or dies, however it dies. A context would end the shell alone.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/bin/sh", "-c", `"$0" "$1" & trap "kill -9 $!; wait" EXIT; read -r _`, program, file)
	cmd.Dir = dir
	if err := asOrdinaryUser(cmd, dir, file); err != nil {
		return 0, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	up, ended := watchPgBouncer(log)
	stop := func() {
		_ = stdin.Close()
		<-ended
		_ = cmd.Wait() // killed by us
	}
	t.Cleanup(stop)
	select {
	case err = <-up:
	case <-time.After(time.Minute):
		err = errors.New("it does not come up within a minute")
	}
	return port, err
}

func pgBouncerConfig(port int, server *pgx.ConnConfig) string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	database := fmt.Sprintf("* = host=%s port=%d user=%s", quoted(server.Host), server.Port, quoted(server.User))
	if server.Password != "" {
		database += " password=" + quoted(server.Password)
	}
	return fmt.Sprintf(`[databases]
%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
`, database, port)
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

// watchPgBouncer reads its log: up tells that it listens, or why it does not;
// ended, that nobody writes to the log any more.
func watchPgBouncer(log io.Reader) (up <-chan error, ended <-chan struct{}) {
	told, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
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

// freePort gives a port that was free just now.
func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
