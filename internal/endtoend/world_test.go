package endtoend_test

import (
	"context"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/minoots/minoots/internal/config"
	"github.com/minoots/minoots/internal/rig"
	"github.com/minoots/minoots/internal/testdb"
)

// The embedded NATS server leaves some of its own behind when it is shut down.
func TestMain(m *testing.M) {
	const server = "github.com/nats-io/nats-server/v2/server"
	testdb.Main(m, goleak.IgnoreTopFunction(server+"/ats.Register.func1"), goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"))
}

const (
	// soon is how long the test waits for what must come. It is long: two slow cores
	// run a Postgres, a NATS, three replicas and other packages' tests.
	soon = time.Minute
	tick = 20 * time.Millisecond

	tenant   = "acme"
	replicas = 3
)

// world is a Postgres, a NATS, three replicas on them, and somebody to call.
type world struct {
	*testing.T
	executable string
	database   *testdb.DB
	nats       *server.Server
	key        string
	fleet      []*rig.Replica
	receiver   *receiver
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, executable: build(t), database: testdb.New(t), nats: startNATS(t), receiver: newReceiver(t)}
	var err error
	w.key, err = rig.MakeTenant(t.Context(), w.database.URL, tenant)
	require.NoError(t, err)
	for range replicas {
		r, err := rig.StartReplica(rig.Config{
			Executable: w.executable, Dir: t.TempDir(), Name: "replica", DatabaseURL: w.database.URL, Roles: rig.AllRoles,
			Env: []string{config.NATSURL + "=" + w.nats.ClientURL()},
		})
		require.NoError(t, err)
		t.Cleanup(func() {
			if !r.Over() {
				_ = r.Process.Kill()
			}
			<-r.Done
		})
		w.fleet = append(w.fleet, r)
	}
	for _, r := range w.fleet {
		require.NoError(t, r.Ready(t.Context()))
	}
	return w
}

// build makes the binary as `make build` does, which the build cache then knows.
func build(t *testing.T) string {
	executable := filepath.Join(t.TempDir(), "minoots")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", executable, "github.com/minoots/minoots/cmd/minoots")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return executable
}

func startNATS(t *testing.T) *server.Server {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(soon))
	return s
}

// hosts are the addresses of the API, beginning with that of one replica.
func (w *world) hosts(first int) (hosts []string) {
	for i := range w.fleet {
		u, err := url.Parse(w.fleet[(first+i)%len(w.fleet)].API)
		require.NoError(w, err)
		hosts = append(hosts, u.Host)
	}
	return hosts
}

// relaying is the replica that has the relay's lease, -1 for none.
func (w *world) relaying() int {
	w.Helper()
	var holder string
	require.NoError(w, w.database.Pool.QueryRow(w.Context(),
		"SELECT coalesce((SELECT replica FROM minoots.event_reader_report WHERE name = 'nats'), '')").Scan(&holder))
	for i, r := range w.fleet {
		if strings.Contains(holder, "-"+strconv.Itoa(r.PID)+"-") {
			return i
		}
	}
	return -1
}

// holding counts the slow deliveries that a replica has under way. Until they are
// released, only its end can end them.
func (w *world) holding(i int) int {
	w.Helper()
	return w.count(`SELECT count(*) FROM river.river_job
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] LIKE '%-' || $1 || '-%'
			AND args #>> '{action,parameters,url}' LIKE '%' || $2`, strconv.Itoa(w.fleet[i].PID), pathSlow)
}

func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	require.NoError(w, w.database.Pool.QueryRow(w.Context(), sql, args...).Scan(&n))
	return n
}

// until waits for what must come.
func (w *world) until(what string, so func() bool) {
	w.Helper()
	require.NoError(w, rig.Until(w.Context(), tick, soon, what, func() (bool, error) { return so(), nil }))
}

// over waits until nothing is left to do.
func (w *world) over() {
	w.Helper()
	w.until("all timers are over", func() bool {
		return w.count(`SELECT (SELECT count(*) FROM minoots.timer_states WHERE status NOT IN ('settled', 'failed', 'cancelled'))
			+ (SELECT count(*) FROM minoots.firings WHERE status = 'running')
			+ (SELECT count(*) FROM river.river_job WHERE finalized_at IS NULL AND args ? 'timer')`) == 0
	})
}

// audit runs `minoots audit`, which looks at what is older than some seconds.
func (w *world) audit() (said string, err error) {
	ctx, cancel := context.WithTimeout(w.Context(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.executable, "audit")
	cmd.Env = append(rig.PlainEnv(), config.DatabaseURL+"="+w.database.URL)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
