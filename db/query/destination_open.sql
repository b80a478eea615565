-- Opens a destination's breaker, or has a probe that failed leave it open: its deliveries wait, at first
-- for about $7 seconds, and twice as long after each further failure, to $8 at most. One that another
-- replica has opened meanwhile is left as it is: no row then.
INSERT INTO minoots.destinations AS d (tenant_id, destination, queue, state, opens, failures, reason, replica, probe_at)
VALUES ($1, $2, $3, 'open', 1, $4, $5, $6, now() + $7::float8 * (0.8 + 0.4 * random()) * interval '1 second')
ON CONFLICT (tenant_id, destination) DO UPDATE
SET state = 'open', opens = d.opens + 1, reason = excluded.reason, replica = excluded.replica,
    since = CASE WHEN d.state = 'closed' THEN now() ELSE d.since END,
    failures = CASE WHEN d.state = 'closed' THEN excluded.failures ELSE d.failures + excluded.failures END,
    probe_at = now() + least($7::float8 * 2 ^ least(d.opens, 30), $8::float8) * (0.8 + 0.4 * random()) * interval '1 second'
WHERE d.state <> 'open'
RETURNING opens, extract(epoch FROM probe_at - now())::float8 AS probe_in;
