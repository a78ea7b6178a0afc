-- What a result is about, who ordered it, and what an approval overrides (identity verification). All columns are
-- optional: of rows from before, the program derives the values when it reads them.
ALTER TABLE fraud_risk_reports ADD COLUMN fingerprint {{.Bytes}};

--bun:split

ALTER TABLE fraud_risk_reports ADD COLUMN institutional {{.Bool}};

--bun:split

ALTER TABLE quizzes ADD COLUMN fingerprint {{.Bytes}};

--bun:split

ALTER TABLE quizzes ADD COLUMN institutional {{.Bool}};

--bun:split

ALTER TABLE approvals ADD COLUMN fingerprint {{.Bytes}};

--bun:split

ALTER TABLE approvals ADD COLUMN overrides {{.Text}};

--bun:split

ALTER TABLE approvals ADD COLUMN report_id {{.Text}};

--bun:split

ALTER TABLE contacts ADD COLUMN identified_by {{.Text}};

--bun:split

-- Until now any change may have been one of the tax id, the name or the birth date.
UPDATE contacts SET identified_by = (
  SELECT actor_id FROM lifecycle_events
  WHERE subject_id = contacts.id AND subject_kind = 'contact' AND name = 'updateContact' ORDER BY version DESC LIMIT 1
) WHERE version > 1;
