package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Operator asks replicas for their state. It keeps no connections: there are few
// requests, and each replica lives for seconds.
var Operator = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Metric reads a metric of a replica's, summed over its labels.
func (r *Replica) Metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Ops+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := Operator.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read a replica's metrics: %w", err)
	}
	defer res.Body.Close()
	return parseMetric(res.Body, name)
}

// parseMetric sums up the samples of a metric in Prometheus' text format. None
// at all is an error: the metric has another name by now, and 0 would be a lie.
func parseMetric(text io.Reader, name string) (float64, error) {
	sum, found := 0.0, false
	for lines := bufio.NewScanner(text); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value := rest[strings.LastIndexByte(rest, ' ')+1:]
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("read metric %s: %w", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("read metric %s: there is none of that name", name)
	}
	return sum, nil
}
