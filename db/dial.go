package db

import (
	"net"
	"strconv"
	"time"
)

// dialer gives connections that notice a dead peer within about 11 seconds,
// rather than after the system's two hours.
func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3,
		},
	}
}

// freeLocks makes the server end a session whose machine is gone (after 20 s
// instead of its system's two hours), or whose process stands still in the middle
// of a transaction. Either would hold the locks on a batch of due timers, which
// all other kernels then step over. What the URL says goes first.
func freeLocks(params map[string]string, standstill time.Duration) {
	for name, value := range map[string]string{
		"idle_in_transaction_session_timeout": strconv.FormatInt(standstill.Milliseconds(), 10),
		"tcp_keepalives_idle":                 "10",
		"tcp_keepalives_interval":             "3",
		"tcp_keepalives_count":                "3",
		"tcp_user_timeout":                    "20000",
	} {
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
}
