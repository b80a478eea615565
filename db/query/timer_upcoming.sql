-- The due instants of a window, for a kernel's heap: one range of the index and no row.
SELECT due_at FROM minoots.timer_states WHERE due_at > $1 AND due_at <= $2 ORDER BY due_at LIMIT $3;
