package devpg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// settings are the server's command line options, in a fixed order.
func settings(cfg Config, port int) []string {
	all := map[string]string{
		"max_connections": "200",   // three roles with their pools, several tests at once
		"shared_buffers":  "256MB", // a small machine runs the service beside it
	}
	if !cfg.Durable {
		for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			all[name] = "off"
		}
	}
	maps.Copy(all, cfg.Settings)
	// These belong to the package: it finds the server by them.
	all["port"] = strconv.Itoa(port)
	all["listen_addresses"] = "127.0.0.1"
	all["unix_socket_directories"] = "" // a socket's path may not exceed 107 bytes
	all["logging_collector"] = "off"    // the log is a file of ours

	var args []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

// startError is a server that ended before it answered.
type startError struct {
	cause error
	tail  string // the end of its log
	file  string // the whole of it
}

func (e *startError) Error() string {
	return fmt.Sprintf("start PostgreSQL: %v: %s (log: %s)", exitCause(e.cause), e.tail, e.file)
}

func (e *startError) Unwrap() error { return e.cause }

// exitCause names an end without an error, for which exec has no word.
func exitCause(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// passes reports whether another attempt may succeed: the port was taken
// between our look and the server's, or processes of a killed server still hold
// its shared memory, which they leave within a second.
func passes(err error, fixedPort int) bool {
	var start *startError
	if !errors.As(err, &start) {
		return false
	}
	return strings.Contains(start.tail, "shared memory block") ||
		fixedPort == 0 && strings.Contains(start.tail, "could not create any TCP/IP sockets")
}
