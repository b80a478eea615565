// Package examples holds timers as a user would write them: each JSON file is
// the body of POST /v1/timers. README.md says what each shows; minoots demo
// schedules them.
package examples

import "embed"

// FS has the JSON files.
//
//go:embed *.json
var FS embed.FS
