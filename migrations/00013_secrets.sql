-- Signing secrets at rest: docs/adr/0022-secrets-and-acks.md. Replicas of the release before read a sealed
-- secret as if it were plain: set the operator's key when the last of them is gone.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- key_id names the operator's key that sealed the secret; NULL is for one that stands as it is.
--
-- shown_at is when a caller saw it. One that a delivery made at its first use was never seen, and may be
-- shown once. Of those that are there already nobody knows: they count as not seen.
--
-- prefix is what lists show, for people to tell secrets apart: 24 of 256 bits.
ALTER TABLE minoots.signing_secrets
    ADD COLUMN key_id text,
    ADD COLUMN shown_at timestamptz,
    ADD COLUMN prefix text;
UPDATE minoots.signing_secrets SET prefix = 'whsec_' || left(encode(secret, 'base64'), 4);

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM minoots.signing_secrets WHERE key_id IS NOT NULL) THEN
        RAISE EXCEPTION 'signing secrets are sealed, and could not be read any more: run minoots secrets unseal first';
    END IF;
END $$;
-- +goose StatementEnd
ALTER TABLE minoots.signing_secrets DROP COLUMN key_id, DROP COLUMN shown_at, DROP COLUMN prefix;
