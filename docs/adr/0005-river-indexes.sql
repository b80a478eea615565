\set QUIET on
\pset format unaligned
\pset tuples_only on
CREATE OR REPLACE PROCEDURE life(n int) LANGUAGE plpgsql AS $$
DECLARE l0 pg_lsn; t0 timestamptz; ids bigint[]; i int;
BEGIN
  COMMIT;
  l0 := pg_current_wal_insert_lsn(); t0 := clock_timestamp();
  FOR i IN 1..n/500 LOOP
    WITH ins AS (INSERT INTO river.river_job(kind,args,max_attempts,queue)
      SELECT 'action', jsonb_build_object('tenantId','acme','timer',jsonb_build_object('id',gen_random_uuid(),'name','n','labels',jsonb_build_object('session','s-'||g),'metadata',null),'occurrence',1,'dueAt',clock_timestamp(),'firedAt',clock_timestamp(),'action',jsonb_build_object('id','wake','kind','webhook','parameters',jsonb_build_object('url','https://example.com/hook')),'policy',jsonb_build_object('maxAttempts',5,'backoffInitialMs',1000,'backoffMultiplier',2,'backoffMaxMs',3600000),'alone',true),5,'webhook' FROM generate_series(1,500) g RETURNING id) SELECT array_agg(id) INTO ids FROM ins; COMMIT;
    UPDATE river.river_job SET state='running', attempt=attempt+1, attempted_at=now(), attempted_by=array_append(attempted_by,'r1') WHERE id = ANY(ids); COMMIT;
    UPDATE river.river_job SET state='completed', finalized_at=now() WHERE id = ANY(ids); COMMIT;
    DELETE FROM river.river_job WHERE id = ANY(ids); COMMIT;
  END LOOP;
  RAISE NOTICE '% jobs: % ms, % WAL bytes a job', n, round(extract(epoch from clock_timestamp()-t0)*1000), round(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), l0)/n);
END $$;
CHECKPOINT;
\echo without
CALL life(20000);
CALL life(20000);
CREATE INDEX river_job_kind ON river.river_job (kind);
CREATE INDEX river_job_args_index ON river.river_job USING gin (args);
CREATE INDEX river_job_metadata_index ON river.river_job USING gin (metadata);
TRUNCATE river.river_job;
CHECKPOINT;
\echo with
CALL life(20000);
CALL life(20000);
DROP INDEX river.river_job_args_index, river.river_job_metadata_index, river.river_job_kind;
TRUNCATE river.river_job; CHECKPOINT;
\echo without
CALL life(20000);
