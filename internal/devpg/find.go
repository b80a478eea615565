package devpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinMajor is the oldest PostgreSQL that MINOOTS supports.
const MinMajor = 15

// ErrNotFound says that no usable server binaries are on this machine.
var ErrNotFound = errors.New("no PostgreSQL server binaries found")

// Binaries is a directory that holds postgres and initdb of one version.
type Binaries struct {
	Dir   string
	Major int
}

func (b Binaries) path(program string) string { return filepath.Join(b.Dir, program) }

// Find looks for server binaries that this user may run, in the order
// $MINOOTS_PG_BIN, PATH, `pg_config --bindir`, Debian's, Homebrew's and
// Postgres.app's directories, and what [Get] put into the cache. Versions older
// than [MinMajor] are passed over. It returns an error that wraps [ErrNotFound]
// if there are none, and a plain error if $MINOOTS_PG_BIN is set but of no use:
// a wish that cannot be met is a mistake to report, not one to work around.
func Find(ctx context.Context) (Binaries, error) {
	who, err := defaultAccount()
	if err != nil {
		return Binaries{}, err
	}
	return machine(who).find(ctx, 0)
}

// lookups are the questions that the search asks the machine.
type lookups struct {
	getenv   func(name string) string
	lookPath func(program string) (string, error)
	bindir   func(ctx context.Context) string
	glob     func(pattern string) []string
	major    func(ctx context.Context, dir string) (int, error)
	cache    string // where Get installs; empty if this user has no cache
}

// machine asks the real machine, on behalf of the user who will run the server.
func machine(who account) lookups {
	return lookups{
		getenv:   os.Getenv,
		lookPath: exec.LookPath,
		bindir: func(ctx context.Context) string {
			out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(out))
		},
		glob: func(pattern string) []string {
			dirs, _ := filepath.Glob(pattern) // fails on a malformed pattern only
			return dirs
		},
		major: func(ctx context.Context, dir string) (int, error) { return majorOf(ctx, who, dir) },
		cache: cacheDir(),
	}
}

// place is one kind of location, with the name an error message gives it.
type place struct {
	name string
	dirs func() []string
}

func (l lookups) places(ctx context.Context) []place {
	glob := func(patterns ...string) func() []string {
		return func() []string {
			var dirs []string
			for _, pattern := range patterns {
				dirs = append(dirs, l.glob(pattern)...)
			}
			return highestFirst(dirs)
		}
	}
	return []place{
		{"PATH", func() []string {
			program, err := l.lookPath("postgres")
			if err != nil {
				return nil
			}
			// A link in a directory of links: initdb may not be linked beside it.
			if target, err := filepath.EvalSymlinks(program); err == nil {
				program = target
			}
			return []string{filepath.Dir(program)}
		}},
		{"pg_config --bindir", func() []string { return []string{l.bindir(ctx)} }},
		{"/usr/lib/postgresql", glob("/usr/lib/postgresql/*/bin")},
		{"Homebrew", glob(
			"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
			"/opt/homebrew/opt/postgresql/bin", "/usr/local/opt/postgresql/bin")},
		{"Postgres.app", glob("/Applications/Postgres.app/Contents/Versions/*/bin")},
		{"the cache", func() []string {
			if l.cache == "" {
				return nil
			}
			return l.glob(filepath.Join(l.cache, portableDir, portableBin))
		}},
	}
}

// find returns the first usable binaries; want asks for one major version
// exactly (a cluster can only be opened by the version that made it), 0 for any.
func (l lookups) find(ctx context.Context, want int) (Binaries, error) {
	fits := func(major int) bool { return major >= MinMajor && (want == 0 || major == want) }
	wanted := fmt.Sprintf("PostgreSQL %d or newer", MinMajor)
	if want != 0 {
		wanted = fmt.Sprintf("PostgreSQL %d", want)
	}

	if dir := l.getenv("MINOOTS_PG_BIN"); dir != "" {
		major, err := l.major(ctx, dir)
		if err != nil {
			return Binaries{}, fmt.Errorf("use MINOOTS_PG_BIN=%s: %w", dir, err)
		}
		if !fits(major) {
			return Binaries{}, fmt.Errorf("use MINOOTS_PG_BIN=%s: it has version %d, needed is %s", dir, major, wanted)
		}
		return Binaries{Dir: dir, Major: major}, nil
	}

	looked := []string{"MINOOTS_PG_BIN"}
	for _, place := range l.places(ctx) {
		looked = append(looked, place.name)
		for _, dir := range place.dirs() {
			if dir == "" {
				continue
			}
			if major, err := l.major(ctx, dir); err == nil && fits(major) {
				return Binaries{Dir: dir, Major: major}, nil
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return Binaries{}, fmt.Errorf("find PostgreSQL: %w", err)
	}
	return Binaries{}, fmt.Errorf("%w: %s is in none of %s", ErrNotFound, wanted, strings.Join(looked, ", "))
}

var versionOutput = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorOf runs `postgres --version` as the user who would run the server, so
// that binaries which that user cannot reach do not count.
func majorOf(ctx context.Context, who account, dir string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return 0, err
		}
	}
	out, err := who.command(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("run postgres --version: %w: %s", err, oneLine(out))
	}
	match := versionOutput.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("run postgres --version: unknown answer %q", out)
	}
	return strconv.Atoi(string(match[1]))
}

var digits = regexp.MustCompile(`\d+`)

// highestFirst orders directories by the version number in their path: as
// numbers, for as strings 9.6 would come before 15.
func highestFirst(dirs []string) []string {
	version := func(dir string) int {
		n, _ := strconv.Atoi(digits.FindString(dir))
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return dirs
}

// oneLine makes a program's output fit into an error message.
func oneLine(out []byte) string {
	return strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
