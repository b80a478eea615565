package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/minoots/minoots/internal/rig"
)

// profile takes CPU profiles of replicas in the background, if that was asked
// for and they serve net/http/pprof beside their metrics. The call that it gives
// waits for them.
func (l *lab) profile(ctx context.Context, name string, fleet []*replica, during time.Duration) (wait func()) {
	var wg sync.WaitGroup
	if l.cfg.ProfileDir != "" {
		for i, r := range fleet {
			file := filepath.Join(l.cfg.ProfileDir, fmt.Sprintf("%s-%d.pprof", name, i))
			wg.Go(func() {
				if err := saveProfile(ctx, r, file, during); err != nil {
					l.say("      no profile of %s: %v", name, err)
				}
			})
		}
	}
	return wg.Wait
}

func saveProfile(ctx context.Context, r *replica, file string, during time.Duration) error {
	url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", r.Ops, max(1, int(during.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := rig.Operator.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the replica does not serve profiles (HTTP %d)", res.StatusCode)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, res.Body)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}
