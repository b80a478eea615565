package bench

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has taken of the machine.
type usage struct {
	cpu    time.Duration // since its start, in user and system mode
	memory int64         // resident bytes
}

// usageOf reads a process's usage from /proc, where there is one.
func usageOf(pid int) (usage, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("read a process's usage: %w", err)
	}
	return parseStat(string(text), int64(os.Getpagesize()))
}

// clockTick is the unit of times in /proc: Linux shows them to programs in
// hundredths of a second, whatever it uses itself.
const clockTick = time.Second / 100

// The fields of /proc/PID/stat that count, numbered as in proc(5).
const (
	statState  = 3 // the first after the program's name
	statUser   = 14
	statSystem = 15
	statRSS    = 24 // in pages
)

// parseStat reads a line of /proc/PID/stat. The program's name stands in it in
// parentheses and may hold blanks and parentheses itself, so that the fields are
// counted from the last one.
func parseStat(line string, pageSize int64) (usage, error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) <= statRSS-statState {
		return usage{}, errors.New("read a process's usage: /proc/PID/stat is not as expected")
	}
	var values [3]int64
	for i, field := range []int{statUser, statSystem, statRSS} {
		v, err := strconv.ParseInt(fields[field-statState], 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("read a process's usage: %w", err)
		}
		values[i] = v
	}
	return usage{cpu: time.Duration(values[0]+values[1]) * clockTick, memory: values[2] * pageSize}, nil
}
