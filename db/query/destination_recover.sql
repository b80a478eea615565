-- Lets deliveries to a destination go on, few at first: it has answered, or a person says that it will.
UPDATE minoots.destinations
SET state = 'recovering', probe_at = now(), slow_start = 1
WHERE tenant_id = $1 AND destination = $2 AND state IN ('open', 'half_open');
