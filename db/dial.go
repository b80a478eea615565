package db

import (
	"net"
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
