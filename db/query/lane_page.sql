-- The queues that have jobs waiting, but that of the webhooks, which is fetched from all the time. The
-- index of River's fetch is walked from queue to queue, not from job to job.
WITH RECURSIVE filled AS (
    (SELECT queue FROM river.river_job WHERE state = 'available' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT j.queue FROM river.river_job j WHERE j.state = 'available' AND j.queue > filled.queue ORDER BY j.queue LIMIT 1
    )
    FROM filled WHERE filled.queue IS NOT NULL
)
SELECT queue FROM filled WHERE queue <> 'webhook';
