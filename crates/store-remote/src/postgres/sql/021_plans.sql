-- The book of the versions of the plan, and their documents.
CREATE TABLE plan_files (
  name text PRIMARY KEY,
  bytes bytea NOT NULL
);

-- The number of the last change: who changes files says which it has seen.
CREATE TABLE plan_state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  change bigint NOT NULL
);
INSERT INTO plan_state (change) VALUES (0);
