-- Makes the River jobs of deliveries that were made waiting in this transaction, with what their subscriptions
-- say now. The arguments are a minoots.Delivery. Attempts are counted on, and the policy's are those after base.
--
-- Sealed headers do not stand in jobs: an attempt reads them, or remembers them by the version.
WITH jobs AS (
    INSERT INTO river.river_job (state, attempt, max_attempts, queue, kind, args)
    SELECT 'available', d.attempts,
        greatest(d.base + coalesce((s.retry_policy ->> 'maxAttempts')::integer, $2::integer), d.attempts + 1),
        CASE WHEN s.apart_until > now() THEN minoots.subscription_lane(s.id) ELSE 'subscription' END, 'subscription',
        jsonb_build_object(
            'tenantId', s.tenant_id, 'timer', jsonb_build_object('id', d.timer_id),
            'occurrence', coalesce((d.event ->> 'occurrence')::integer, 0),
            'dueAt', d.event -> 'occurredAt', 'firedAt', d.event -> 'occurredAt',
            'action', jsonb_build_object('id', 'event', 'kind', 'webhook',
                'parameters', jsonb_build_object('url', s.url, 'headers', s.headers, 'body', d.event)),
            'policy', s.retry_policy, 'alone', true, 'base', d.base,
            'subscription', jsonb_strip_nulls(jsonb_build_object('id', s.id, 'deliveryId', d.id,
                'sealed', CASE WHEN s.headers_sealed IS NOT NULL THEN s.version END)))
    FROM minoots.subscription_deliveries d
    JOIN minoots.subscriptions s ON s.id = d.subscription_id
    WHERE d.id = ANY ($1::uuid[]) AND d.status = 'waiting'
    ORDER BY d.id
    RETURNING queue
)
SELECT pg_notify('river.river_insert', json_build_object('queue', queue)::text) FROM (SELECT DISTINCT queue FROM jobs) AS q;
