-- Has tenants ($1) count as waiting for $2 seconds from now, so that they are told which timers are over;
-- a row that lasts nearly so long, since another replica has renewed it, is left as it is: for $3 seconds
-- they count in any case.
--
-- Rows of tenants that have not waited for long go. Locks are taken in the order of the tenants; the
-- deletion comes last and waits for nobody.
WITH gone AS (
    DELETE FROM minoots.waiting
    WHERE tenant_id IN (
        SELECT tenant_id FROM minoots.waiting
        WHERE until < now() - interval '1 minute' AND tenant_id <> ALL ($1::text[])
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO minoots.waiting AS w (tenant_id, until)
SELECT tenant_id, now() + $2::float8 * interval '1 second' FROM unnest($1::text[]) AS tenant_id
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE SET until = excluded.until WHERE w.until < now() + $3::float8 * interval '1 second';
