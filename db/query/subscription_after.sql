-- The places in the log at which the subscriptions were made.
SELECT DISTINCT after FROM minoots.subscriptions;
