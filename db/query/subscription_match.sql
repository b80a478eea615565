-- The subscriptions of tenants, for the sender to match events with.
SELECT id, tenant_id, topics, timer_id, after FROM minoots.subscriptions WHERE tenant_id = ANY ($1::text[]);
