package bench

import (
	"context"
	"errors"
	"fmt"
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

// replica is one process of the service.
type replica struct {
	api, ops string // URLs
	pid      int
	log      string // its file
	process  *os.Process
	done     chan struct{} // closed when it has ended
	err      error         // how; to be read after done
}

const allRoles = "api,kernel,worker"

// The replicas' patience. A receiver may be in the middle of a slow answer when
// they are to stop, and the bench is not to wait for it.
const (
	readyWithin  = 30 * time.Second
	replicaGrace = time.Second
	stopWithin   = 20 * time.Second
)

// replicas starts so many and waits until they are ready. They are stopped at
// the end of the step at the latest.
func (l *lab) replicas(ctx context.Context, d *database, n int, roles string) ([]*replica, error) {
	var fleet []*replica
	for range n {
		r, err := l.startReplica(d, roles)
		if err != nil {
			return nil, err
		}
		l.running = append(l.running, r)
		fleet = append(fleet, r)
	}
	for _, r := range fleet {
		err := until(ctx, 20*time.Millisecond, readyWithin, "a replica is ready", func() (bool, error) {
			select {
			case <-r.done:
				return false, r.ended()
			default:
				return answers(ctx, r.ops+"/readyz"), nil
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return fleet, nil
}

func (l *lab) startReplica(d *database, roles string) (*replica, error) {
	addrs, err := freeAddrs(2)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(l.dir, d.name+"-replica-*.log")
	if err != nil {
		return nil, fmt.Errorf("make a replica's log: %w", err)
	}
	defer file.Close()                             // the process has its own
	cmd := exec.Command(l.cfg.Executable, "serve") //nolint:noctx // it is ended in order, not by a context
	cmd.Dir = l.dir
	cmd.Env = append(plainEnv(os.Environ()),
		config.DatabaseURL+"="+d.url, config.HTTPAddr+"="+addrs[0], config.OpsAddr+"="+addrs[1], config.RolesName+"="+roles,
		config.WebhookAllowCIDRs+"=127.0.0.0/8,::1/128", config.LogLevel+"=warn", config.ShutdownGrace+"="+replicaGrace.String())
	cmd.Stdout, cmd.Stderr = file, file
	// A process group of its own: Ctrl-C is for the bench, which then ends them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	r := &replica{api: "http://" + addrs[0], ops: "http://" + addrs[1], log: file.Name(), done: make(chan struct{})}
	return r, r.start(cmd)
}

// start starts the process from a thread that lives as long as it does, for that
// is what dieWithParent goes by.
func (r *replica) start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			r.process, r.pid = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start a replica: %w", err)
	}
	return nil
}

// ended describes the end of a replica that was not asked for.
func (r *replica) ended() error {
	text, _ := os.ReadFile(r.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	status := "exit status 0"
	if r.err != nil {
		status = r.err.Error()
	}
	return fmt.Errorf("a replica ended by itself, %s: %s", status, lines[len(lines)-1])
}

// stopReplicas ends replicas and waits until they have. One that had ended
// before is an error.
func (l *lab) stopReplicas(fleet []*replica) error {
	var errs []error
	for _, r := range fleet {
		select {
		case <-r.done:
			errs = append(errs, r.ended())
		default:
			_ = r.process.Signal(syscall.SIGTERM)
		}
	}
	deadline := time.After(stopWithin)
	for _, r := range fleet {
		select {
		case <-r.done:
		case <-deadline:
			_ = r.process.Kill()
			<-r.done
			errs = append(errs, fmt.Errorf("a replica had not stopped after %s and was killed; its log is %s", stopWithin, filepath.Base(r.log)))
			deadline = time.After(0)
		}
	}
	l.running = slices.DeleteFunc(l.running, func(r *replica) bool { return slices.Contains(fleet, r) })
	return errors.Join(errs...)
}

// plainEnv drops settings that are meant for other replicas.
func plainEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "MINOOTS_") })
}

// freeAddrs finds addresses that nobody listens on, and hopes that it stays so.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // held together, so that they differ
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs, nil
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := operator.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}
