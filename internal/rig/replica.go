package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/minoots/minoots/internal/config"
)

// Replica is one process of the service.
type Replica struct {
	API, Ops string // URLs
	PID      int
	Log      string // its file
	Process  *os.Process
	Done     chan struct{} // closed when it has ended
	err      error         // how; to be read after Done
}

// AllRoles is what a replica does if nothing else is asked of it.
const AllRoles = "api,kernel,worker"

// Config says how to start a replica.
type Config struct {
	// Executable is the minoots binary.
	Executable string
	// Dir receives its log, whose name begins with Name.
	Dir, Name string
	// DatabaseURL and Roles are its settings of these names.
	DatabaseURL, Roles string
	// Env is further settings, NAME=value; they win over those above.
	Env []string
}

// The replicas' patience. A receiver may be in the middle of a slow answer when
// they are to stop, and nobody is to wait for it.
const (
	readyWithin = 30 * time.Second
	grace       = time.Second
	stopWithin  = 20 * time.Second
)

// StartReplica starts one and does not wait until it is ready.
func StartReplica(cfg Config) (*Replica, error) {
	addrs, err := FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(cfg.Dir, cfg.Name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("make a replica's log: %w", err)
	}
	defer file.Close()                           // the process has its own
	cmd := exec.Command(cfg.Executable, "serve") //nolint:noctx // it is ended in order, not by a context
	cmd.Dir = cfg.Dir
	cmd.Env = append(PlainEnv(),
		config.DatabaseURL+"="+cfg.DatabaseURL, config.HTTPAddr+"="+addrs[0], config.OpsAddr+"="+addrs[1], config.RolesName+"="+cfg.Roles,
		config.WebhookAllowCIDRs+"=127.0.0.0/8,::1/128", config.LogLevel+"=warn", config.ShutdownGrace+"="+grace.String())
	cmd.Env = append(cmd.Env, cfg.Env...) // of two, the last counts
	cmd.Stdout, cmd.Stderr = file, file
	// A process group of its own: Ctrl-C is for the harness, which then ends them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	r := &Replica{API: "http://" + addrs[0], Ops: "http://" + addrs[1], Log: file.Name(), Done: make(chan struct{})}
	return r, r.start(cmd)
}

// start starts the process from a thread that lives as long as it does, for that
// is what dieWithParent goes by.
func (r *Replica) start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			r.Process, r.PID = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.Done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start a replica: %w", err)
	}
	return nil
}

// Ready waits until the replica says that it is.
func (r *Replica) Ready(ctx context.Context) error {
	return Until(ctx, 20*time.Millisecond, readyWithin, "a replica is ready", func() (bool, error) {
		if r.Over() {
			return false, r.Ended()
		}
		_, ready := r.Readiness(ctx)
		return ready, nil
	})
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Status, Reason, Replica, Listener string
}

// Readiness asks, and tells whether the answer was yes.
func (r *Replica) Readiness(ctx context.Context) (Readiness, bool) {
	var said Readiness
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a check of the database takes 2 s at most
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Ops+"/readyz", nil)
	if err != nil {
		return said, false
	}
	res, err := Operator.Do(req)
	if err != nil {
		return said, false
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&said) // what it does not say, it does not say
	return said, res.StatusCode == http.StatusOK
}

// Over tells whether the process has ended.
func (r *Replica) Over() bool {
	select {
	case <-r.Done:
		return true
	default:
		return false
	}
}

// Ended describes the end of a replica that was not asked for.
func (r *Replica) Ended() error {
	text, _ := os.ReadFile(r.Log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	status := "exit status 0"
	if r.err != nil {
		status = r.err.Error()
	}
	return fmt.Errorf("a replica ended by itself, %s: %s", status, lines[len(lines)-1])
}

// Err is how the process ended, nil for status 0; to be asked when it is Over.
func (r *Replica) Err() error { return r.err }

// StopReplicas ends replicas and waits until they have. One that had ended
// before is an error.
func StopReplicas(fleet []*Replica) error {
	var errs []error
	for _, r := range fleet {
		if r.Over() {
			errs = append(errs, r.Ended())
		} else {
			_ = r.Process.Signal(syscall.SIGTERM)
		}
	}
	deadline := time.After(stopWithin)
	for _, r := range fleet {
		select {
		case <-r.Done:
		case <-deadline:
			_ = r.Process.Kill()
			<-r.Done
			errs = append(errs, fmt.Errorf("a replica had not stopped after %s and was killed; its log is %s", stopWithin, filepath.Base(r.Log)))
			deadline = time.After(0)
		}
	}
	return errors.Join(errs...)
}

// PlainEnv is the environment without settings that are meant for other replicas.
func PlainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MINOOTS_") })
}

// FreeAddrs finds addresses that nobody listens on, and hopes that it stays so.
// The ports are below those that systems give to outgoing connections, of which
// a harness makes many: one of these may take such a port in the meantime.
func FreeAddrs(n int) ([]string, error) {
	var addrs []string
	var err error
	for try := 0; len(addrs) < n; try++ {
		var listener net.Listener
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if listener, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // closed at once
			defer listener.Close() // held together, so that they differ
			addrs = append(addrs, addr)
		} else if try > 100 {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return addrs, nil
}
