package bench

import (
	"context"
	"slices"

	"github.com/minoots/minoots/internal/rig"
)

// replica is one process of the service.
type replica = rig.Replica

const allRoles = rig.AllRoles

// replicas starts so many and waits until they are ready. They are stopped at
// the end of the step at the latest.
func (l *lab) replicas(ctx context.Context, d *database, n int, roles string) ([]*replica, error) {
	var fleet []*replica
	for range n {
		r, err := rig.StartReplica(rig.Config{
			Executable: l.cfg.Executable, Dir: l.dir, Name: d.name + "-replica", DatabaseURL: d.url, Roles: roles,
		})
		if err != nil {
			return nil, err
		}
		l.running = append(l.running, r)
		fleet = append(fleet, r)
	}
	for _, r := range fleet {
		if err := r.Ready(ctx); err != nil {
			return nil, err
		}
	}
	return fleet, nil
}

// stopReplicas ends replicas and waits until they have. One that had ended
// before is an error.
func (l *lab) stopReplicas(fleet []*replica) error {
	err := rig.StopReplicas(fleet)
	l.running = slices.DeleteFunc(l.running, func(r *replica) bool { return slices.Contains(fleet, r) })
	return err
}
