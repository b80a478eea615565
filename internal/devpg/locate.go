package devpg

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Locate uses the server that the first set environment variable names, else
// starts one of cfg. Without names it looks at MINOOTS_DATABASE_URL and
// TEST_DATABASE_URL. The caller treats both alike: Stop leaves a named server
// alone. A variable that is no connection string is an error; whether the
// server answers is found out by whoever connects.
func Locate(ctx context.Context, cfg Config, envNames ...string) (*Server, error) {
	if len(envNames) == 0 {
		envNames = []string{"MINOOTS_DATABASE_URL", "TEST_DATABASE_URL"}
	}
	for _, name := range envNames {
		named := os.Getenv(name)
		if named == "" {
			continue
		}
		if _, err := pgx.ParseConfig(named); err != nil { // pgx keeps the password out of it
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		done := make(chan struct{})
		return &Server{
			dsn: named, attached: true,
			release: sync.OnceFunc(func() { close(done) }),
			done:    done,
		}, nil
	}
	return Start(ctx, cfg)
}

// withDatabase names another database in a connection string of either form, a
// URL or keywords, of which the last one counts.
func withDatabase(dsn, database string) string {
	if database == "" {
		return dsn
	}
	if !strings.Contains(dsn, "://") {
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database)
		return fmt.Sprintf("%s dbname='%s'", dsn, quoted)
	}
	u, err := url.Parse(dsn)
	if err != nil { // Locate has checked it
		return dsn
	}
	u.Path, u.RawPath = "/"+database, ""
	return u.String()
}
