-- Locks a destination's row, for destination_take.sql in the same transaction: that statement's snapshot
-- must be younger than the lock, or it would count what another has just taken as not under way.
SELECT FROM minoots.destinations WHERE queue = $1 FOR UPDATE;
