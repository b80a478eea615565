// Package migrations holds the schema of MINOOTS as numbered goose files.
//
// Version 2 has no file: it is River's own schema, a Go migration in
// db/migrate.go pinned to the River version in go.mod.
//
// A migration may run while older replicas serve, so it goes in the order
// expand, deploy, contract. One that an older binary cannot live with says
// BREAKING in its first line.
package migrations

import "embed"

// FS holds the SQL files, at its root.
//
//go:embed *.sql
var FS embed.FS
