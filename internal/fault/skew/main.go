// Command skew writes a build overlay (go build -overlay) in which time.Now is
// wrong by what MINOOTS_SKEW says: "10s", "-10s", or "jump" for an hour hand
// that nobody can rely on: right, 10 s ahead, right, 10 s behind, three seconds
// each.
//
// The whole program is then wrong about the time of day, its libraries included,
// as on a machine whose clock is wrong, and the program's own code needs no hook
// for it. The monotonic clock and what is built on it (timers, deadlines,
// time.Since) go on as they do when a clock is set.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	original = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	skewed   = original + "\tsec += skew(mono)\n"
	addition = `
var skewMode, _ = syscall.Getenv("MINOOTS_SKEW")

var skewFixed = func() int64 { d, _ := ParseDuration(skewMode); return int64(d / Second) }()

// skew is how many seconds the clock is wrong.
func skew(mono int64) int64 {
	if skewMode == "jump" {
		return [...]int64{0, 10, 0, -10}[mono/int64(3*Second)%4]
	}
	return skewFixed
}
`
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: skew DIRECTORY: writes overlay.json there")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "skew:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output() //nolint:noctx // it ends by itself
	if err != nil {
		return fmt.Errorf("find the standard library: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), original, skewed, 1)
	if changed == string(text) {
		return fmt.Errorf("%s does not begin Now as expected: update this program for the new Go", source)
	}
	// An import that stands twice is an error, so it has a declaration of its own.
	changed = strings.Replace(changed, "\nimport (\n", "\nimport \"syscall\"\n\nimport (\n", 1) + addition
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	replacement := filepath.Join(dir, "time.go.skewed") // not .go: ./... would take it for a package of ours
	if err := os.WriteFile(replacement, []byte(changed), 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: replacement}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644)
}
