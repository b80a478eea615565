package config

import (
	"fmt"
	"io"
	"os"

	"github.com/minoots/minoots/internal/seal"
)

// maxKeyFile is far more than any ring of keys.
const maxKeyFile = 64 << 10

func readSecretsKey(c *Config, text string) (err error) {
	c.SecretsKeys, err = seal.Parse(text)
	return err
}

// readSecretsKeyFile is for keys that are mounted as files, which no list of
// processes shows.
func readSecretsKeyFile(c *Config, path string) error {
	if c.SecretsKeys != nil {
		return fmt.Errorf("is set beside %s: set one of them", SecretsKey)
	}
	file, err := os.Open(path)
	if err != nil {
		return err // it names the path and the cause
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return err
	}
	if c.SecretsKeys, err = seal.Parse(string(text)); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	return nil
}
