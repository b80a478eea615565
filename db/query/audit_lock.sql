-- Holds the tables as they are while an audit reads them. The first statement of its transaction, which
-- has no snapshot yet: so no partition is in the snapshot and gone.
LOCK TABLE minoots.timers, minoots.timer_states, minoots.firings, minoots.attempts, minoots.events IN ACCESS SHARE MODE;
