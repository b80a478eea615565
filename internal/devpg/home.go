package devpg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// home is the directory of one server and the user who runs it.
type home struct {
	dir string // absolute, without symbolic links: postgres reports it so
	who account
	log io.Writer
}

func (h home) data() string     { return filepath.Join(h.dir, "data") }
func (h home) portFile() string { return filepath.Join(h.dir, "port") }
func (h home) logFile() string  { return filepath.Join(h.dir, "server.log") }

// openHome makes the wanted directory, or another one in the system's temporary
// directory if the user who runs the server cannot get into it: root's server
// runs as somebody else, whom a checkout below /root shuts out.
func openHome(wanted string, log io.Writer) (home, error) {
	dir, err := filepath.Abs(wanted)
	if err != nil {
		return home{}, fmt.Errorf("open %s: %w", wanted, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return home{}, fmt.Errorf("make the server's directory: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return home{}, fmt.Errorf("open %s: %w", wanted, err)
	}
	h, err := enterable(dir, log)
	if err != nil || h.who.reaches(dir) {
		return h, err
	}

	fallback := fallbackDir(dir)
	say(log, "user %d, who must run the server, cannot enter %s; using %s", h.who.uid, dir, fallback)
	if err := os.Mkdir(fallback, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return home{}, fmt.Errorf("make the server's directory: %w", err)
	}
	// Everybody may write to the temporary directory, so somebody may have laid
	// a directory of his own, or a link, in our place.
	info, err := os.Lstat(fallback)
	if err != nil {
		return home{}, fmt.Errorf("open %s: %w", fallback, err)
	}
	if uid, _, err := owner(fallback); err != nil || uid != 0 || !info.IsDir() {
		return home{}, fmt.Errorf("use %s: it is not a directory of root's; remove it", fallback)
	}
	if h, err = enterable(fallback, log); err != nil {
		return home{}, err
	}
	if !h.who.reaches(fallback) {
		return home{}, fmt.Errorf("use %s: user %d, who must run the server, cannot enter it; set TMPDIR to a place open to all",
			fallback, h.who.uid)
	}
	return h, nil
}

// fallbackDir is the same for every start with the same wish, so that the data
// is found again.
func fallbackDir(wanted string) string {
	sum := sha256.Sum256([]byte(wanted))
	return filepath.Join(os.TempDir(), fmt.Sprintf("minoots-pg-%x", sum[:6]))
}

// enterable opens root's own directory to the account (to pass through, not to
// list); the data below stays closed to all but the account.
func enterable(dir string, log io.Writer) (home, error) {
	who, err := accountFor(dir)
	if err != nil {
		return home{}, err
	}
	if uid, _, err := owner(dir); who.borrowed && err == nil && uid == 0 {
		info, err := os.Stat(dir)
		if err != nil {
			return home{}, fmt.Errorf("open %s: %w", dir, err)
		}
		if err := os.Chmod(dir, info.Mode().Perm()|0o111); err != nil {
			return home{}, fmt.Errorf("open %s: %w", dir, err)
		}
	}
	return home{dir: dir, who: who, log: log}, nil
}

// create opens an empty file that belongs to the account, so that root leaves
// nothing in a user's directory which that user cannot write to. It follows no
// link: the directory may be in the hands of somebody whom root does not trust.
func (h home) create(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	if h.who.borrowed {
		if err := file.Chown(int(h.who.uid), int(h.who.gid)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

// lock waits until no other process is starting a server here. The kernel lets
// go of the lock when its holder dies, so a crash leaves nothing behind.
func (h home) lock(ctx context.Context) (unlock func(), err error) {
	file, err := h.create(filepath.Join(h.dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock the server's directory: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("wait for another process that starts a server in %s: %w", h.dir, err)
		}
	}
}

// pause sleeps, and says why if the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
