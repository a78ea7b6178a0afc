-- Reviews of reports with a match on a list of people, and dismissed matches (identity verification).
CREATE TABLE reviews (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('open', 'taken', 'decided')),
  report_id {{.Text}} NOT NULL,
  contact_id {{.Text}},
  person {{.Bytes}} NOT NULL,
  matches {{.Bytes}} NOT NULL,
  partial {{.Bool}} NOT NULL,
  taken_by {{.Text}},
  decision {{.Text}} CHECK (decision IN ('cleared', 'confirmed')),
  decided_by {{.Text}},
  decided_at {{.Int}},
  reason {{.Bytes}},
  unconfirmed {{.Bool}} NOT NULL,
  confirmed_by {{.Text}}
){{.Updated}};

--bun:split

CREATE INDEX reviews_created ON reviews (created_at, id);

--bun:split

CREATE INDEX reviews_state ON reviews (state, created_at, id);

--bun:split

CREATE TABLE dismissals (
  id {{.Text}} NOT NULL PRIMARY KEY,
  review_id {{.Text}} NOT NULL,
  created_at {{.Int}} NOT NULL
);

--bun:split

ALTER TABLE fraud_risk_reports ADD COLUMN screening {{.Text}};

--bun:split

-- The last versions of the published list of people; the newest is in force for all instances.
CREATE TABLE watch_lists (
  seq {{.Identity}},
  hash {{.Text}} NOT NULL,
  published_at {{.Int}} NOT NULL,
  loaded_at {{.Int}} NOT NULL,
  entries {{.Int}} NOT NULL,
  content {{.Bytes}} NOT NULL
);

--bun:split

-- The progress of the comparison of all contacts with new entries of the lists: one row.
CREATE TABLE rescreenings (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  from_watch {{.Int}} NOT NULL,
  from_institution {{.Int}} NOT NULL,
  to_watch {{.Int}} NOT NULL,
  to_institution {{.Int}} NOT NULL,
  running {{.Bool}} NOT NULL,
  after_contact {{.Text}} NOT NULL,
  contacts {{.Int}} NOT NULL,
  reports {{.Int}} NOT NULL,
  started_at {{.Int}} NOT NULL,
  claimed_until {{.Int}} NOT NULL
){{.Updated}};

--bun:split

CREATE TABLE screenings_due (
  contact_id {{.Text}} NOT NULL PRIMARY KEY,
  requested_at {{.Int}} NOT NULL
){{.Updated}};
