-- Removes the timers of one page that have been over for so many seconds. A page is the next $3 timers
-- by id after $2, of those that were made before that time: ids are UUIDv7. So no index is needed that
-- every firing would pay for, and timers that still wait cost a look each.
--
-- Only a terminal status is ever removed. The lock makes that certain: it is taken on the row as it is
-- then, and a row that somebody holds is left to the next pass.
WITH page AS MATERIALIZED (
    SELECT id FROM minoots.timer_states
    WHERE id > $2 AND id < minoots.first_id(now() - $1::float8 * interval '1 second')
    ORDER BY id
    LIMIT $3
),
over AS MATERIALIZED (
    SELECT id FROM minoots.timer_states
    WHERE id = ANY (ARRAY(SELECT id FROM page)) AND status IN ('settled', 'failed', 'cancelled')
        AND coalesce(settled_at, cancelled_at, updated_at) < now() - $1::float8 * interval '1 second'
    ORDER BY id
    FOR UPDATE SKIP LOCKED
),
states AS (
    DELETE FROM minoots.timer_states WHERE id = ANY (ARRAY(SELECT id FROM over))
),
definitions AS (
    DELETE FROM minoots.timers WHERE id = ANY (ARRAY(SELECT id FROM over))
)
SELECT (SELECT count(*) FROM page) AS looked, (SELECT count(*) FROM over) AS forgotten,
    (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last;
