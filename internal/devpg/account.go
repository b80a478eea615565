package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the system user who runs initdb and postgres. Both refuse to run
// as root, so root hands them to somebody else.
type account struct {
	uid, gid uint32
	borrowed bool // this process is root and the account is not
}

// defaultAccount is this user, or for root `postgres`, or `nobody` where no
// PostgreSQL package has made that one.
func defaultAccount() (account, error) {
	if euid := os.Geteuid(); euid != 0 {
		return account{uid: uint32(euid), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		// ParseInt, for macOS gives nobody the id -2.
		uid, uidErr := strconv.ParseInt(u.Uid, 10, 64)
		gid, gidErr := strconv.ParseInt(u.Gid, 10, 64)
		if uidErr == nil && gidErr == nil && uint32(uid) != 0 {
			return account{uid: uint32(uid), gid: uint32(gid), borrowed: true}, nil
		}
	}
	return account{}, errors.New("run PostgreSQL: it does not run as root, and there is no user postgres or nobody to run it as")
}

// accountFor lets root continue a home that belongs to somebody: the data's
// owner is the only one whom postgres accepts, and `sudo make dev` must not
// take the directory away from the user who made it.
func accountFor(home string) (account, error) {
	if os.Geteuid() == 0 {
		for _, path := range []string{filepath.Join(home, "data"), home} {
			if uid, gid, err := owner(path); err == nil && uid != 0 {
				return account{uid: uid, gid: gid, borrowed: true}, nil
			}
		}
	}
	return defaultAccount()
}

// command prepares a program to be run by the account, in a directory that
// everybody may enter and with messages in English, for some are read here.
func (a account) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential()}
	return cmd
}

func (a account) credential() *syscall.Credential {
	if !a.borrowed {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// own gives path to the account.
func (a account) own(path string) error {
	if !a.borrowed {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// reaches reports whether the account may enter dir and all its parents. It
// looks at permission bits alone, so that it errs towards no.
func (a account) reaches(dir string) bool {
	if !a.borrowed {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		uid, gid, err := owner(dir)
		if err != nil {
			return false
		}
		enter := os.FileMode(0o001)
		switch {
		case uid == a.uid:
			enter = 0o100
		case gid == a.gid:
			enter = 0o010
		}
		if info.Mode()&enter == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// owner does not follow a symbolic link.
func owner(path string) (uid, gid uint32, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("stat %s: no owner on this system", path)
	}
	return stat.Uid, stat.Gid, nil
}
