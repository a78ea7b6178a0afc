-- The users that an event concerns, in columns, so that an index finds a user's part of the feed. There are at most
-- two.

ALTER TABLE lifecycle_events ADD COLUMN first_user {{.Text}};

--bun:split

ALTER TABLE lifecycle_events ADD COLUMN second_user {{.Text}};

--bun:split

UPDATE lifecycle_events SET first_user = {{.FirstElement}}, second_user = {{.SecondElement}};

--bun:split

CREATE INDEX lifecycle_events_first_user ON lifecycle_events (first_user, tx, seq) WHERE first_user IS NOT NULL;

--bun:split

CREATE INDEX lifecycle_events_second_user ON lifecycle_events (second_user, tx, seq) WHERE second_user IS NOT NULL;
