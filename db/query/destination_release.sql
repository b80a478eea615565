-- Lets deliveries go that wait for a destination which is ordinary again, up to $2 of them: into the lane
-- that the name of their queue tells, since they may be very many. Gives the lanes.
WITH waiting AS MATERIALIZED (
    SELECT id FROM river.river_job
    WHERE state = 'available' AND queue = $1
        AND NOT EXISTS (SELECT FROM minoots.destinations d WHERE d.queue = $1)
    ORDER BY priority, scheduled_at, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
),
released AS (
    UPDATE river.river_job j
    SET queue = (j.args #>> '{action,kind}') || '-' || split_part($1, '-', 2)
    WHERE j.id = ANY (ARRAY(SELECT id FROM waiting))
    RETURNING j.queue
)
SELECT queue, count(*) AS jobs FROM released GROUP BY queue;
