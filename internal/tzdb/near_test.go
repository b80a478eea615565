package tzdb_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/minoots/minoots/internal/tzdb"
)

func TestNear(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Europe/Pariss": "Europe/Paris", "europe/pari": "Europe/Paris", "Paris": "Europe/Paris", "new york": "America/New_York",
		"Amerca/New_Yrk": "America/New_York", "CET+1": "", "GMT+2": "", "UTC+01:00": "", "Mars/Olympus": "", "": "", "PST": "",
	} {
		assert.Equal(t, want, tzdb.Near(name), name)
	}
}
