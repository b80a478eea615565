-- Takes deliveries that wait for a destination, up to $2 of them and as many as its breaker and its limits
-- allow, and has them running by replica $3. Always one row at least, if the destination is there: without
-- a job it says what is waited for.
--
-- Runs under the lock of the destination's row, taken by the statement before (destination_lock.sql): all
-- that may be taken passes here, so limits hold across replicas. What is under way is counted, and not
-- kept: a replica that dies leaves no slot behind.
--
-- The rate is a GCRA: token_at is when the next delivery may begin, and what was not used gathers for at
-- most 100 ms, so that the deliveries of that time can begin in one block.
--
-- A probe will probably fail. It is made with a delivery that has attempts left, if one of the first 100 has.
WITH at AS MATERIALIZED (SELECT clock_timestamp() AS now),
running AS MATERIALIZED (
    SELECT count(*)::integer AS n FROM river.river_job WHERE state = 'running' AND queue = $1
),
found AS MATERIALIZED (
    SELECT d.state, d.slow_start, d.probe_at, at.now, running.n AS running, 1 / d.rate_per_second AS pace,
        d.state IN ('open', 'half_open') AS probing,
        CASE WHEN d.rate_per_second > 0 THEN
            greatest(d.token_at, at.now - greatest(1, d.rate_per_second * 0.1) / d.rate_per_second * interval '1 second')
        END AS token_at,
        d.max_concurrent - running.n AS slots,
        CASE d.state
            WHEN 'open' THEN (d.probe_at <= at.now)::integer
            -- Whoever probed may be gone, or what it tried said nothing of the destination.
            WHEN 'half_open' THEN (d.probe_at <= at.now OR running.n = 0 AND d.tried_at < at.now - interval '2 seconds')::integer
            WHEN 'recovering' THEN CASE WHEN d.probe_at <= at.now THEN d.slow_start - running.n ELSE 0 END
        END AS admitted
    FROM minoots.destinations d, at, running
    WHERE d.queue = $1
),
bound AS MATERIALIZED (
    SELECT state, slow_start, probe_at, now, running, pace, probing, token_at, greatest(0, least($2::integer, slots, admitted,
        floor(extract(epoch FROM now - token_at) / pace + 1e-6)::integer)) AS may
    FROM found
),
first AS MATERIALIZED (
    SELECT j.id, bound.probing AND j.attempt + 1 >= j.max_attempts AS last
    FROM bound CROSS JOIN LATERAL (
        SELECT id, attempt, max_attempts FROM river.river_job
        WHERE state = 'available' AND queue = $1 AND scheduled_at <= bound.now
        ORDER BY priority, scheduled_at, id
        LIMIT CASE WHEN bound.may = 0 THEN 0 WHEN bound.probing THEN 100 ELSE bound.may END
    ) AS j
),
chosen AS MATERIALIZED (
    SELECT j.id FROM river.river_job j
    JOIN first USING (id)
    WHERE j.state::text = 'available' AND j.queue = $1
    ORDER BY first.last, j.priority, j.scheduled_at, j.id
    LIMIT (SELECT may FROM bound)
    FOR UPDATE OF j SKIP LOCKED
),
taken AS (
    UPDATE river.river_job j
    SET state = 'running', attempt = j.attempt + 1, attempted_at = now(), attempted_by = array_append(j.attempted_by, $3)
    WHERE j.id = ANY (ARRAY(SELECT id FROM chosen))
    RETURNING j.id, j.attempt, j.args
),
counted AS MATERIALIZED (SELECT count(*)::integer AS n FROM taken),
noted AS (
    UPDATE minoots.destinations d
    SET token_at = coalesce(b.token_at + counted.n * b.pace * interval '1 second', d.token_at),
        state = CASE WHEN b.probing THEN 'half_open' ELSE d.state END,
        tried_at = CASE WHEN b.probing THEN b.now ELSE d.tried_at END,
        replica = CASE WHEN b.probing THEN $3 ELSE d.replica END,
        probe_at = CASE
            WHEN b.probing THEN b.now + $4::float8 * interval '1 second'
            WHEN d.state = 'recovering' THEN b.now + interval '100 milliseconds'
            ELSE d.probe_at
        END,
        -- It may have more when it has ended most of what it had.
        slow_start = CASE WHEN d.state = 'recovering' AND b.running * 4 <= d.slow_start
            THEN least(d.slow_start * 2, 1024) ELSE d.slow_start END
    FROM bound b, counted
    WHERE d.queue = $1 AND counted.n > 0
)
SELECT b.state, b.may, b.slow_start,
    extract(epoch FROM b.probe_at - b.now)::float8 AS probe_in,
    extract(epoch FROM b.token_at + (counted.n + 1) * b.pace * interval '1 second' - b.now)::float8 AS token_in,
    taken.id, taken.attempt, taken.args
FROM bound b
CROSS JOIN counted
LEFT JOIN taken ON true
ORDER BY taken.id;
