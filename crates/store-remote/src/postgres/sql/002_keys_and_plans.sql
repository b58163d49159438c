-- Virtual keys. Texts of people are written with `\` for what a text of
-- PostgreSQL cannot hold; groups, models, secrets and limits are JSON.
CREATE TABLE keys (
  number bigint PRIMARY KEY,
  id text NOT NULL UNIQUE,
  change bigint NOT NULL UNIQUE,
  name text NOT NULL,
  tenant text NOT NULL,
  app text NOT NULL,
  groups text NOT NULL,
  models text,
  on_revoke text NOT NULL,
  created_us bigint NOT NULL,
  created_by text NOT NULL,
  expires_us bigint,
  rotated_us bigint,
  revoked_us bigint,
  revoked_by text,
  last_used_us bigint,
  secrets text NOT NULL,
  limits text
);
CREATE INDEX keys_by_tenant ON keys (tenant, number);
CREATE INDEX keys_not_revoked ON keys (number) WHERE revoked_us IS NULL;

-- The number of the last change, and the mark of the key of the digests.
-- Whoever changes a key holds this row until the change is committed, so
-- changes become visible in the order of their numbers.
CREATE TABLE keys_state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  change bigint NOT NULL,
  mark bytea
);
INSERT INTO keys_state (change) VALUES (0);

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
