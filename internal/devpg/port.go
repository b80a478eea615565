package devpg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// choosePort takes the wanted port; or, if none is wanted, the one of the last
// start so that URLs stay good; or any free one.
func (h home) choosePort(wanted int) (int, error) {
	if wanted != 0 {
		if _, err := freePort(wanted); err != nil {
			return 0, fmt.Errorf("start PostgreSQL on port %d: %w", wanted, err)
		}
		return wanted, nil
	}
	if text, err := os.ReadFile(h.portFile()); err == nil {
		if last, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && last != 0 {
			if _, err := freePort(last); err == nil {
				return last, nil
			}
			say(h.log, "port %d of the last start is taken; using another", last)
		}
	}
	port, err := freePort(0)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

func (h home) rememberPort(port int) error {
	file, err := h.create(h.portFile())
	if err != nil {
		return fmt.Errorf("remember the port: %w", err)
	}
	_, err = fmt.Fprintln(file, port)
	return errors.Join(err, file.Close())
}

// freePort answers a port that was free just now: the one asked for, or any.
func freePort(port int) (int, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func dsn(port int) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
}

// answers reports whether the server of this home takes queries on the port. It
// asks for the data directory, since another server may have the port.
func (h home) answers(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn(port))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return false
	}
	return filepath.Clean(dir) == h.data()
}
