-- Registers a process by its lock. The row is seen by others when this commits, and the lock is held by
-- then: nobody can find the one without the other. A fresh slot is free, unless somebody else uses our
-- lock numbers, which the caller is told.
WITH registered AS (
    INSERT INTO minoots.replicas (replica, mode) VALUES ($1, 'lock')
    RETURNING slot
)
SELECT slot, pg_try_advisory_lock(7701, slot) AS held FROM registered;
