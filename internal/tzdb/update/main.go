// Command update copies the time zone database of the Go that runs it, with its
// version, into the directory in which it runs.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if err := update(); err != nil {
		fmt.Fprintln(os.Stderr, "update the time zone database:", err)
		os.Exit(1)
	}
}

// release is the line of Go's own script that names what the archive was made of.
var release = regexp.MustCompile(`(?m)^DATA=(\w+)$`)

func update() error {
	root, err := exec.Command("go", "env", "GOROOT").Output() //nolint:noctx // ends by itself
	if err != nil {
		return err
	}
	from := filepath.Join(strings.TrimSpace(string(root)), "lib", "time")
	script, err := os.ReadFile(filepath.Join(from, "update.bash"))
	if err != nil {
		return err
	}
	found := release.FindSubmatch(script)
	if found == nil {
		return errors.New("update.bash has no line DATA=")
	}
	archive, err := os.ReadFile(filepath.Join(from, "zoneinfo.zip"))
	if err != nil {
		return err
	}
	if err := os.WriteFile("zoneinfo.zip", archive, 0o644); err != nil {
		return err
	}
	return os.WriteFile("version.txt", append(found[1], '\n'), 0o644)
}
