-- A touch moves abandon_at, and so no index may hold it: to move an entry of an index was most of what a touch cost.
-- The sweeper looks at a session at watch_at, which is never after abandon_at, and puts off what has been in use since.
-- Rows from before are looked at once.
ALTER TABLE sessions ADD COLUMN watch_at {{.Int}} NOT NULL DEFAULT 0;

--bun:split

DROP INDEX sessions_idle;

--bun:split

CREATE INDEX sessions_watch ON sessions (watch_at, id) WHERE state IN ('active', 'pending');
