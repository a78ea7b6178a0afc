-- The choices of a person's quiz questions, sealed: they are the same in every quiz. The person is a keyed hash.
CREATE TABLE quiz_choices (
  person {{.Bytes}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  content {{.Bytes}} NOT NULL
);

--bun:split

-- The sequence number of the newest import with identity records.
CREATE TABLE record_imports (
  id {{.Int}} NOT NULL PRIMARY KEY CHECK (id = 1),
  seq {{.Int}} NOT NULL
);

--bun:split

INSERT INTO record_imports (id, seq) VALUES (1, 0);
