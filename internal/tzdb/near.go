package tzdb

import (
	"slices"
	"strings"
)

// Near gives the name that is most likely meant by one that is not known: the one
// with the same city, or else the one that differs in the fewest letters, two at
// most. It is "" where there is none, or more than one.
func Near(name string) string {
	if len(name) < 4 || len(name) > 64 {
		return "" // of so few letters two are half, and abbreviations are no zones
	}
	wanted := strings.ToLower(strings.ReplaceAll(name, " ", "_"))
	names := Names()
	if city := only(names, func(known string) bool {
		area, city, ok := strings.Cut(strings.ToLower(known), "/")
		return ok && city == wanted && area != "etc"
	}); city != "" {
		return city
	}
	if !strings.Contains(wanted, "/") {
		return "" // of GMT+2 a letter more or less is another zone
	}
	for most := 1; most <= 2; most++ {
		if near := only(names, func(known string) bool { return distance(strings.ToLower(known), wanted, most) <= most }); near != "" {
			return near
		}
	}
	return ""
}

// only gives the one name that fits, "" if several do.
func only(names []string, fits func(string) bool) (found string) {
	for _, name := range names {
		if !fits(name) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

// distance is how many letters must be put in, left out or changed to make b of a;
// more than most is not counted to its end.
func distance(a, b string, most int) int {
	if max(len(a)-len(b), len(b)-len(a)) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
		if slices.Min(row) > most {
			return most + 1
		}
	}
	return row[len(b)]
}
