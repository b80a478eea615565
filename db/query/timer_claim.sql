-- The heart: claims due timers and fires them, in one statement of the fire transaction.
--
-- The lock in "due" is what makes a timer fire once: SKIP LOCKED steps over what another claim or a
-- cancel holds, so no claim waits for another. Rows are locked by due time.
--
-- Whether a recurring timer fires, and when next, is for Go to say, as it is of one whose misfire policy
-- may skip it. Of these this statement takes the lock and gives the row as it then is ("judged");
-- timer_rearm.sql, later in the transaction, writes what becomes of them. All others pay nothing for that.
--
-- A change of a timer's definition that commits after this statement has begun is not in its snapshot,
-- but the lock gives the new state: number of actions and all. Such a timer is left to the next claim. It
-- is known by patched, which the change has set in both rows; what nobody has changed has none, and pays
-- nothing.
--
-- $1 is the low-water mark: entries of the index below it are dead, and while a long-open snapshot
-- stops vacuum each claim would walk over all of them (docs/adr/0004-low-water.md).
-- $3 stands for now() in tests.
--
-- What fires is read from "due", whose rows are locked, and not from what the UPDATE gives: to join the
-- two again took as long as all the rest, since without statistics the planner joins them in a loop.
-- The array keeps the planner from guessing that LIMIT $2 is a tenth of the table and reading all of it:
-- it takes an array for ten rows and uses the primary key. An array of one element likewise: with "=" the
-- plan of an empty table reads the whole index of timers for each. The limits of what "due" has limited
-- already only make the planner expect less, of which it takes a share of the table.
--
-- The parameters stand in sub-selects so that their values cannot sway the plan. From the values it expects
-- one timer to be due at most, which makes a plan for them look cheaper than the general one, and each
-- claim was planned anew: 0.5 ms (docs/adr/0014-where-the-time-goes.md).
WITH due AS MATERIALIZED (
    SELECT id, due_at, fire_at, tenant_id, occurrence, actions, recurring, unarmed, (recurring OR may_skip) IS TRUE AS judged
    FROM minoots.timer_states
    WHERE due_at >= (SELECT $1::timestamptz) AND due_at <= (SELECT coalesce($3, now()))
        AND (patched IS NULL OR minoots.is_patched(id, patched))
    ORDER BY due_at
    LIMIT (SELECT $2::bigint)
    FOR UPDATE SKIP LOCKED
),
moved AS (
    UPDATE minoots.timer_states s
    SET status = CASE WHEN s.actions = 0 THEN 'settled' ELSE 'fired' END,
        settled_at = CASE WHEN s.actions = 0 THEN coalesce($3, now()) END,
        fired_at = coalesce($3, now()), updated_at = now(), due_at = NULL,
        occurrence = s.occurrence + 1, version = s.version + 1
    WHERE s.id = ANY (ARRAY(SELECT id FROM due WHERE NOT judged))
),
fired AS MATERIALIZED (
    SELECT due.id, due.tenant_id, due.occurrence + 1 AS occurrence, due.actions, coalesce($3, now()) AS fired_at, due.due_at,
        t.name, t.requested_by, t.labels, t.metadata, t.bundle, t.agent_binding
    FROM (SELECT id, tenant_id, occurrence, actions, due_at FROM due WHERE NOT judged LIMIT (SELECT $2::bigint)) due
    JOIN minoots.timers t ON t.id = ANY (ARRAY[due.id])
),
firings AS (
    INSERT INTO minoots.firings (timer_id, due_at, fired_at, settled_at, occurrence, actions, started,
        tenant_id, status, bundle)
    SELECT id, due_at, fired_at, CASE WHEN actions = 0 THEN fired_at END, occurrence, actions,
        CASE WHEN actions < 2 THEN actions ELSE least(actions, coalesce((bundle ->> 'concurrency')::smallint, 1)) END,
        tenant_id, CASE WHEN actions = 0 THEN 'settled' ELSE 'running' END,
        CASE WHEN actions < 2 THEN NULL ELSE bundle END
    FROM fired
),
logged AS (
    INSERT INTO minoots.events (timer_id, occurrence, tenant_id, type)
    SELECT id, occurrence, tenant_id, 'timer.fired' FROM fired
    UNION ALL
    SELECT id, occurrence, tenant_id, 'timer.settled' FROM fired WHERE actions = 0
)
SELECT id, tenant_id, occurrence, actions, due_at, fired_at, name, requested_by, labels, metadata,
    bundle, agent_binding, clock_timestamp() AS clock, pg_current_xact_id()::text AS xid,
    NULL::timestamptz AS fire_at, NULL::boolean AS recurring, NULL::boolean AS unarmed, NULL::json AS recurrence,
    NULL::json AS misfire, NULL::integer AS jitter_ms, NULL::timestamptz AS anchor
FROM fired
UNION ALL
SELECT d.id, d.tenant_id, d.occurrence, d.actions, d.due_at, coalesce($3, now()), t.name, t.requested_by, t.labels, t.metadata,
    t.bundle, t.agent_binding, clock_timestamp(), pg_current_xact_id()::text,
    d.fire_at, d.recurring, d.unarmed, t.recurrence, t.misfire, t.jitter_ms, coalesce(t.anchor, t.created_at)
FROM (SELECT id, tenant_id, occurrence, actions, due_at, fire_at, recurring, unarmed FROM due WHERE judged LIMIT (SELECT $2::bigint)) d
JOIN minoots.timers t ON t.id = ANY (ARRAY[d.id])
ORDER BY due_at;
