package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

func (a *API) usageRoutes() {
	register(a, route{
		ID: "getUsage", Method: http.MethodGet, Path: "/v1/usage", Tag: "usage",
		Summary: "Count what the tenant has",
		Description: fmt.Sprintf("And the limits that hold for it. Each count goes up to %d, so that it is cheap however many "+
			"there are; `atLeast` tells that there may be more. `fired` and `settled` can go higher, and are exact unless "+
			"there are more of them than that, or of those that failed, are paused or were cancelled.", db.UsageCounted),
		Role: minoots.RoleTimerRead,
	}, a.getUsage)
}

type usageCount struct {
	Count   int  `json:"count"`
	AtLeast bool `json:"atLeast" doc:"There may be more."`
}

type usage struct {
	TenantID    string                        `json:"tenantId"`
	Timers      map[minoots.Status]usageCount `json:"timers" doc:"By status."`
	DueNextHour usageCount                    `json:"dueNextHour" doc:"Scheduled timers that are due within an hour, or already."`
	APIKeys     int                           `json:"apiKeys" doc:"That are not revoked."`
	Limits      usageLimits                   `json:"limits"`
}

type usageLimits struct {
	TimerBytes     int   `json:"timerBytes" doc:"Of a timer's JSON."`
	BatchTimers    int   `json:"batchTimers" doc:"Timers of one batch."`
	BulkTimers     int   `json:"bulkTimers" doc:"Timers that one change by filter changes."`
	Labels         int   `json:"labels" doc:"Of a timer."`
	NameCharacters int   `json:"nameCharacters" doc:"Of a name, and of requestedBy."`
	Actions        int   `json:"actions" doc:"Of a bundle."`
	HorizonMs      int64 `json:"horizonMs" doc:"How far ahead a timer may be due."`
	Waiters        int   `json:"waiters" doc:"Requests of the tenant that wait for a timer at once, on one replica."`
}

type usageOutput struct{ Body usage }

func (a *API) getUsage(ctx context.Context, _ *struct{}) (*usageOutput, error) {
	tenant := principalOf(ctx).TenantID
	found, err := a.db.UsageGet(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := usage{
		TenantID: tenant, Timers: map[minoots.Status]usageCount{}, DueNextHour: usageCount(found.DueNextHour), APIKeys: found.APIKeys,
		Limits: usageLimits{
			TimerBytes: minoots.MaxTimerBytes, BatchTimers: minoots.MaxBatchTimers, BulkTimers: db.BulkMost, Labels: minoots.MaxLabels,
			NameCharacters: minoots.MaxName, Actions: minoots.MaxActions, HorizonMs: minoots.MaxHorizon.Milliseconds(),
			Waiters: maxTenantWaiters,
		},
	}
	for status, n := range found.Timers {
		out.Timers[status] = usageCount(n)
	}
	return &usageOutput{out}, nil
}
