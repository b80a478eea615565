// Package tzdb is the time zone database that recurrences are computed by. It is
// a part of the binary, so that all replicas of a build agree on when a timer is
// due, whatever their machines have, and so that its version is known.
//
// zoneinfo.zip is a copy of Go's lib/time/zoneinfo.zip, and version.txt says
// which release of the IANA database it was made from. To take the ones of a
// newer Go:
//
//	go generate ./internal/tzdb
package tzdb

import (
	"archive/zip"
	"bytes"
	_ "embed" // the database
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

//go:generate go run ./update

//go:embed zoneinfo.zip
var archive []byte

//go:embed version.txt
var version string

// Version is the release of the IANA database, such as "2025c".
func Version() string { return strings.TrimSpace(version) }

// ErrUnknown is the error of a zone that the database does not have.
var ErrUnknown = errors.New("the time zone is not known")

// files are the zones by name. An archive that cannot be read is a broken build,
// which the tests find.
var files = sync.OnceValue(func() map[string]*zip.File {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic(fmt.Errorf("read the time zone database: %w", err))
	}
	found := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		if f.Name != "Factory" { // the database's word for "not set"
			found[f.Name] = f
		}
	}
	return found
})

// zones remembers each *time.Location that was asked for: at most one per zone.
var zones sync.Map

// Load gives the zone of an IANA name. Names are matched exactly, and neither
// "" nor "Local" is one.
func Load(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	file, ok := files()[name]
	if !ok {
		return nil, ErrUnknown
	}
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	loaded, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("read time zone %s: %w", name, err)
	}
	zone, _ := zones.LoadOrStore(name, loaded)
	return zone.(*time.Location), nil
}

func read(file *zip.File) ([]byte, error) {
	r, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("read time zone %s: %w", file.Name, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read time zone %s: %w", file.Name, err)
	}
	return data, nil
}

// Similar gives the name that differs in upper and lower case only, or "".
func Similar(name string) string {
	for known := range files() {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return ""
}

// Names gives all the names, in no order.
func Names() []string {
	names := make([]string, 0, len(files()))
	for name := range files() {
		names = append(names, name)
	}
	return names
}
