-- What came of calls with an idempotency key. Texts that callers choose are
-- bytes, since texts cannot hold the character 0 here. Times are microseconds
-- since 1970 by the clock of this server.
CREATE TABLE replies (
  tenant bytea NOT NULL,
  app bytea NOT NULL,
  key bytea NOT NULL,
  request bytea NOT NULL,
  by_call text NOT NULL,
  owner text NOT NULL,
  state text NOT NULL,
  started_us bigint NOT NULL,
  lease_us bigint NOT NULL,
  ttl_us bigint NOT NULL,
  expires_us bigint NOT NULL,
  status integer,
  bytes bigint NOT NULL DEFAULT 0,
  head text,
  body bytea,
  PRIMARY KEY (tenant, app, key)
);
CREATE INDEX replies_expires ON replies (expires_us);
CREATE INDEX replies_running ON replies (owner) WHERE state = 'running';

-- How much there is: of each tenant, and of all tenants in a few shares, so
-- that nobody counts rows and few wait for the same one. Whoever changes
-- several takes them in the order of the primary key.
CREATE TABLE reply_counts (
  is_share boolean NOT NULL,
  name bytea NOT NULL,
  keys bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (is_share, name)
);
