package kernel

import "context"

// expire fails the attempts whose acknowledgements have not come in time. The
// reaper's look tells when there are any, so they are up to a look late: 1.2 s, or
// 2.2 s if the kernel in the first seat stands still.
func (k *Kernel) expire(ctx context.Context) error {
	if k.cfg.Judge == nil {
		return nil
	}
	n, err := k.db.AcknowledgementExpire(ctx, k.cfg.Judge, k.follow)
	k.metrics.expired.Add(float64(n))
	if n > 0 {
		k.log.Info("attempts failed that no agent has acknowledged in time", "attempts", n)
	}
	return err
}
