package minoots_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/minoots/minoots"

// layers is the direction of imports: minoots ← db ← {kernel, workers, api} ← cmd.
// A package may import, of ours and of the libraries named here, only what its
// layer lists; the reason says what a forbidden import would cost.
var layers = []struct {
	path   string
	may    []string
	reason string
}{
	{"", nil,
		"the domain is a dictionary: it knows no library, so that everything may know it"},
	{"migrations", nil,
		"SQL files and their embed.FS: a migration must not depend on code that changes"},
	{"db", []string{"", "migrations", pgx, goose, river + "/rivermigrate", river + "/riverdriver/riverpgxv5"},
		"the one door to Postgres knows no layer above it; of River only its migrations"},
	{"kernel", []string{"", "db", prometheus},
		"the kernel fires and does not execute: it reaches the workers through kernel.Planner, so that it runs and is tested without them"},
	{"workers/action", []string{"", nats, cel, mcp},
		"an executor is spec in, outcome out: without a database, a new kind is one file and its test needs no server"},
	{"workers/reader", []string{"", "db", prometheus},
		"it reads the log for whatever work: what it knew of one, the others would carry"},
	{"workers/relay", []string{"", "db", "workers/reader", nats, prometheus},
		"it copies the log: it knows no action and no job"},
	{"workers/subscription", []string{"", "db", "workers/reader", prometheus},
		"it makes jobs of the log: it knows nobody who works on them"},
	{"workers", []string{"", "db", "workers/action", river, pgx, prometheus},
		"workers record what was done: they do not know when or why it was due"},
	{"proto/minoots/timer/v1", nil,
		"generated from the published contract: messages know no service"},
	{"api", []string{"", "db", "proto/minoots/timer/v1", "proto/minoots/timer/v1/timerv1connect", huma, prometheus},
		"the API writes what is asked for: it does not fire or execute, so that it scales and fails apart from them"},
	{"client", []string{""},
		"what users import to call the service must not drag the service in"},
	{"internal/eventhub", []string{"", "db", prometheus},
		"it reads the log for whoever streams it: what it knew of one interface, the others would carry"},
	{"internal/jsonwrite", []string{""},
		"every layer writes JSON by it: what it knew of one, the others would carry"},
	{"internal/cron", []string{""},
		"when a recurrence is due follows from data alone: the same in the API, the kernel and a terminal without a server"},
	{"internal/natsconn", []string{nats, prometheus},
		"it is shared by what publishes, and knows nothing of it"},
	{"internal/tzdb", nil,
		"it is a database in the binary, and anybody may read it"},
	{"internal/fault", nil,
		"it marks places in every layer, so it may know none"},
	{"internal/rig", []string{"", "db"},
		"harnesses start the service as users do, as a process: a layer imported would be another service than the one under test"},
	{"internal/chaos", []string{"", "client", "db", pgx},
		"it judges from outside, by the API, the webhooks and the tables: what it took from a layer it could not judge"},
}

const (
	pgx        = "github.com/jackc/pgx/v5"
	goose      = "github.com/pressly/goose/v3"
	river      = "github.com/riverqueue/river"
	huma       = "github.com/danielgtaylor/huma/v2"
	prometheus = "github.com/prometheus/client_golang"
	nats       = "github.com/nats-io"
	cel        = "cel.dev/cel-go"
	mcp        = "github.com/modelcontextprotocol/go-sdk"
)

// heavy are the libraries whose place is decided here; others are free.
var heavy = []string{pgx, goose, river, huma, prometheus, nats, cel, mcp}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	imports := listImports(t)
	for _, layer := range layers {
		found := imports[strings.TrimSuffix(module+"/"+layer.path, "/")]
		require.NotNil(t, found, "package %q is gone: update the table", layer.path)
		for _, path := range found {
			if name, governed := governed(path); governed && !allowed(layer.may, name) {
				t.Errorf("%s imports %s: %s", orRoot(layer.path), path, layer.reason)
			}
		}
	}
}

func TestOnlyDBSpeaksSQL(t *testing.T) {
	t.Parallel()
	for path, found := range listImports(t) {
		pkg := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if pkg == "db" || strings.HasPrefix(pkg, "internal/") || strings.HasPrefix(pkg, "cmd/") {
			continue // plumbing for tests; wiring
		}
		for _, imported := range found {
			if strings.HasPrefix(imported, pgx+"/pgxpool") || imported == "database/sql" {
				t.Errorf("%s imports %s: only db opens connections and speaks SQL", orRoot(pkg), imported)
			}
		}
	}
}

// governed gives the name under which a path stands in the table, and whether
// its place is decided there at all.
func governed(path string) (string, bool) {
	if path == module {
		return "", true
	}
	if rest, ours := strings.CutPrefix(path, module+"/"); ours {
		return rest, !strings.HasPrefix(rest, "internal/")
	}
	return path, slices.ContainsFunc(heavy, func(lib string) bool { return within(path, lib) })
}

func allowed(may []string, name string) bool {
	return slices.ContainsFunc(may, func(m string) bool { return name == m || strings.Contains(m, ".") && within(name, m) })
}

func within(path, lib string) bool { return path == lib || strings.HasPrefix(path, lib+"/") }

func orRoot(path string) string {
	if path == "" {
		return "the root package"
	}
	return path
}

// listImports asks the go command what each package of the module imports,
// tests left out.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	imports := map[string][]string{}
	for dec := json.NewDecoder(out); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		imports[p.ImportPath] = append([]string{}, p.Imports...)
	}
	require.NoError(t, cmd.Wait())
	return imports
}
