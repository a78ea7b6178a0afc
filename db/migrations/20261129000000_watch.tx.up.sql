-- A touch changes abandon_at, so no index may contain it: updating an index entry was most of the cost of a touch. The
-- sweeper checks a session at watch_at, which is never later than abandon_at, and postpones watch_at for sessions that
-- were used since. Existing rows are checked immediately.
ALTER TABLE sessions ADD COLUMN watch_at {{.Int}} NOT NULL DEFAULT 0;

--bun:split

DROP INDEX sessions_idle;

--bun:split

CREATE INDEX sessions_watch ON sessions (watch_at, id) WHERE state IN ('active', 'pending');
