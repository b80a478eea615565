// Package rig runs the service as its users do, for the harnesses that measure
// it (internal/bench) and that break it (internal/chaos): replicas as processes
// of their own, a directory for their files, a tenant to call them as.
package rig
