package workers

// Stopped tells when River has ended, which may be after Run: with Postgres away
// it goes on trying to put its jobs back.
func Stopped(w *Workers) <-chan struct{} { return w.client.Stopped() }
