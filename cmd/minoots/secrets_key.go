package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/minoots/minoots/internal/seal"
)

// localKey reads the operator's key of a Postgres of one's own, or makes it. Of
// two who make it at once, both get the one that was first.
func localKey(path string) (*seal.Ring, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKeyFile(path); err == nil || errors.Is(err, fs.ErrExist) {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keep the key for signing secrets: %w", err)
	}
	keys, err := seal.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return keys, nil
}

// makeKeyFile writes a key whole under its name, which nobody may have yet:
// readers never see half of it.
func makeKeyFile(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "secrets.key.*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = temp.WriteString(seal.NewKey() + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Link(temp.Name(), path)
	}
	return errors.Join(err, os.Remove(temp.Name()))
}
