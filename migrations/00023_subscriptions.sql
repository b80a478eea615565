-- Subscriptions: sealed headers, jobs found by their subscription, and a queue apart for those that are slow or
-- very many: docs/adr/0027-subscriptions.md. Replicas of the release before would send sealed headers' deliveries
-- without them: as for signing secrets, set the operator's key when the last of them is gone.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- headers_key names the operator's key that sealed the headers; then headers is empty and header_names has
-- their names. All three are NULL where the headers stand as they are, in headers.
--
-- apart_until: until then new deliveries go to the subscription's own lane.
ALTER TABLE minoots.subscriptions
    ADD COLUMN headers_sealed bytea,
    ADD COLUMN headers_key text,
    ADD COLUMN header_names text[],
    ADD COLUMN apart_until timestamptz,
    ADD CONSTRAINT subscriptions_headers CHECK (
        (headers_sealed IS NULL) = (headers_key IS NULL) AND (headers_sealed IS NULL) = (header_names IS NULL)
        AND (headers_sealed IS NULL OR headers = '{}'));

-- For a pause, and for a lane: else they read all jobs there are. Jobs of actions are not in it, and do not pay
-- for it. To build it reads the table once, which has only what is due; nobody can insert meanwhile.
CREATE INDEX river_job_subscription ON river.river_job ((args #>> '{subscription,id}')) WHERE kind = 'subscription';

-- The lane of a subscription: a queue with few workers, opened while it has jobs. The last byte of a UUIDv7 is
-- random, and 256 lanes bound how many queues a replica may have to look at.
CREATE FUNCTION minoots.subscription_lane(id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'subscription-' || get_byte(uuid_send(id), 15);
REVOKE ALL ON FUNCTION minoots.subscription_lane FROM PUBLIC;

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM minoots.subscriptions WHERE headers_sealed IS NOT NULL) THEN
        RAISE EXCEPTION 'subscriptions'' headers are sealed, and could not be read any more: run minoots secrets unseal first';
    END IF;
END $$;
-- +goose StatementEnd
UPDATE river.river_job SET queue = 'subscription' WHERE kind = 'subscription' AND queue LIKE 'subscription-%';
DROP FUNCTION minoots.subscription_lane;
DROP INDEX river.river_job_subscription;
ALTER TABLE minoots.subscriptions
    DROP CONSTRAINT subscriptions_headers,
    DROP COLUMN headers_sealed, DROP COLUMN headers_key, DROP COLUMN header_names, DROP COLUMN apart_until;
