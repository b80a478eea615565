-- Dispatches the running jobs of lost processes again, as new rows of a higher generation: what a zombie
-- writes of the old row then finds none. Those that were dispatched again $2 times already are left to job_worn.
--
-- The lost attempt is on record, and is not counted: it says nothing of the receiver, as one that was
-- cut by a shutdown. So the next one has its number.
--
-- SKIP LOCKED: a row that is locked is being recorded, or is another reaper's. Nobody waits here, so
-- nobody can deadlock; what is left over is looked at again.
WITH lost AS MATERIALIZED (
    SELECT id FROM river.river_job
    WHERE state = 'running' AND kind IN ('action', 'subscription') AND args #>> '{timer,id}' IS NOT NULL
        AND attempted_by[array_upper(attempted_by, 1)] = ANY ($1::text[])
        AND coalesce((args ->> 'generation')::integer, 0) < $2
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM river.river_job j
    WHERE j.id = ANY (ARRAY(SELECT id FROM lost))
    RETURNING j.args, j.kind, j.queue, j.priority, j.attempt, j.max_attempts, j.attempted_by, j.attempted_at,
        j.errors, j.metadata, j.tags
),
again AS (
    INSERT INTO river.river_job (state, args, kind, queue, priority, attempt, max_attempts, attempted_by,
        attempted_at, errors, metadata, tags)
    SELECT 'available', jsonb_set(args, '{generation}', to_jsonb(coalesce((args ->> 'generation')::integer, 0) + 1)),
        kind, queue, priority, greatest(attempt - 1, 0), max_attempts, attempted_by, attempted_at, errors, metadata, tags
    FROM taken
    RETURNING queue
),
tried AS (
    INSERT INTO minoots.attempts (timer_id, started_at, finished_at, occurrence, attempt, tenant_id,
        action_id, kind, status, replica, error_class, error)
    SELECT (args #>> '{timer,id}')::uuid, attempted_at, now(), (args ->> 'occurrence')::integer, attempt, args ->> 'tenantId',
        args #>> '{action,id}', args #>> '{action,kind}', 'retrying', attempted_by[array_upper(attempted_by, 1)], 'lost', $3
    FROM taken
    WHERE kind = 'action' -- a subscription's delivery is of no firing
    RETURNING timer_id, occurrence, tenant_id, action_id, attempt
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type, data)
    SELECT timer_id, occurrence, tenant_id, 'action.failed',
        json_build_object('actionId', action_id, 'attempt', attempt, 'final', false)
    FROM tried
)
SELECT queue, count(*) AS jobs FROM again GROUP BY queue;
