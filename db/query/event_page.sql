-- Reads a page of the log: what snapshot s sees and snapshot p did not, in the order of seq, after $3.
--
-- $1 is p, what the reader has seen. $2 is s, or NULL to choose: the next mark after p, so that a reader
-- that is far behind sorts a few thousand rows for a page and not all that is left, or else now. A mark
-- counts as after p if it sees all that p sees and a higher event, so that each page gets on.
--
-- What p did not see is in two places of the primary key: from its xmax on, and the transactions that it
-- knew to be in flight. Of those only the ones that have ended are looked up. So a transaction that is
-- open for an hour costs nothing and holds up nobody (docs/adr/0020-events.md).
--
-- The first row, of seq 0, is about the page as a whole: head has s, whether it is now, the highest
-- transaction of an event that s sees and p did not, what the log says of itself, and the clock.
--
-- The rest are filters, NULL for none; $8 asks for the labels.
WITH bounds AS MATERIALIZED (
    SELECT p, coalesce($2::text::pg_snapshot, mark, pg_current_snapshot()) AS s,
        $2::text IS NULL AND mark IS NULL AS now
    FROM (
        SELECT p, CASE WHEN $2::text IS NULL THEN (
            SELECT m.snapshot FROM minoots.event_marks m
            WHERE m.xid_max > pg_snapshot_xmax(p)
                AND NOT EXISTS (SELECT FROM pg_snapshot_xip(m.snapshot) AS x WHERE pg_visible_in_snapshot(x, p))
                AND EXISTS (
                    SELECT FROM minoots.events e
                    WHERE e.xid >= pg_snapshot_xmax(p) AND e.xid < m.xid_max AND pg_visible_in_snapshot(e.xid, m.snapshot))
            ORDER BY m.xid_max, m.seq
            LIMIT 1
        ) END AS mark
        FROM (SELECT $1::text::pg_snapshot AS p) AS given
    ) AS marked
),
page AS (
    SELECT e.seq, e.xid, e.occurred_at, e.timer_id, e.occurrence, e.tenant_id, e.type, e.data
    FROM (
        SELECT seq, xid, occurred_at, timer_id, occurrence, tenant_id, type, data FROM minoots.events
        WHERE xid >= (SELECT pg_snapshot_xmax(p) FROM bounds) AND xid < (SELECT pg_snapshot_xmax(s) FROM bounds)
            AND pg_visible_in_snapshot(xid, (SELECT s FROM bounds))
        UNION ALL
        SELECT seq, xid, occurred_at, timer_id, occurrence, tenant_id, type, data FROM minoots.events
        WHERE xid = ANY (ARRAY(SELECT x FROM bounds, pg_snapshot_xip(p) AS x WHERE pg_visible_in_snapshot(x, s)))
    ) AS e
    WHERE e.seq > $3
        AND ($5::text IS NULL OR e.tenant_id = $5)
        AND ($6::text[] IS NULL OR e.type = ANY ($6))
        AND ($7::uuid IS NULL OR e.timer_id = $7)
        AND ($9::jsonb IS NULL OR EXISTS (
            SELECT FROM minoots.timers t WHERE t.id = e.timer_id AND t.tenant_id = e.tenant_id AND t.labels @> $9))
    ORDER BY e.seq
    LIMIT $4
)
SELECT 0 AS seq, '0'::xid8 AS xid, clock_timestamp() AS occurred_at, NULL::uuid AS timer_id, 0 AS occurrence,
    NULL::text AS tenant_id, NULL::text AS type, NULL::json AS data, NULL::jsonb AS labels,
    ARRAY[s::text, now::text, coalesce((
        SELECT e.xid FROM minoots.events e
        WHERE e.xid >= pg_snapshot_xmax(p) AND e.xid < pg_snapshot_xmax(s) AND pg_visible_in_snapshot(e.xid, s)
        ORDER BY e.xid DESC
        LIMIT 1
    ), '0')::text, log.id::text, log.dropped::text, pg_snapshot_xmax(pg_current_snapshot())::text] AS head
FROM bounds, minoots.event_log log
UNION ALL
SELECT seq, xid, occurred_at, timer_id, occurrence, tenant_id, type, data,
    CASE WHEN $8::boolean THEN (
        SELECT t.labels FROM minoots.timers t WHERE t.id = page.timer_id AND t.tenant_id = page.tenant_id
    ) END, NULL
FROM page
ORDER BY seq;
