-- What workers look at every two seconds: the queues that have jobs waiting, but that of the webhooks,
-- which is fetched from all the time; and the destinations that are not ordinary, with the first 1,000 of
-- what waits for each. A queue of waiting deliveries may have lost its destination: then tenant_id is NULL.
--
-- A row without a queue says that there are subscriptions to webhooks.
--
-- The index of River's fetch is walked from queue to queue, not from job to job.
WITH RECURSIVE filled AS (
    (SELECT queue FROM river.river_job WHERE state = 'available' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT j.queue FROM river.river_job j WHERE j.state = 'available' AND j.queue > filled.queue ORDER BY j.queue LIMIT 1
    )
    FROM filled WHERE filled.queue IS NOT NULL
)
SELECT coalesce(f.queue, d.queue) AS queue, d.tenant_id, d.destination, d.state, f.queue IS NOT NULL AS filled,
    CASE WHEN f.queue LIKE 'held-%' THEN (
        SELECT count(*) FROM (
            SELECT FROM river.river_job j WHERE j.state = 'available' AND j.queue = f.queue LIMIT 1000
        ) AS first
    ) ELSE 0 END AS held
FROM (SELECT queue FROM filled WHERE queue <> 'webhook') AS f
FULL JOIN minoots.destinations d ON d.queue = f.queue
UNION ALL
SELECT '', NULL, NULL, NULL, false, 0 WHERE EXISTS (SELECT FROM minoots.subscriptions);
