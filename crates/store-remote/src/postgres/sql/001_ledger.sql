-- How far the journal of each node was taken in. `sequence` and `hash` are of
-- the last entry; they move in the transaction that brings the rows.
CREATE TABLE nodes (
  node bytea PRIMARY KEY,
  sequence bigint NOT NULL,
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  recorded_us bigint NOT NULL,
  unreadable bigint NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each exchange of all nodes. Texts cannot hold the character 0
-- here, which stands as U+FFFD; `payload` is the record as it was written.
-- `recorded_us` never falls as `sequence` of a node rises.
CREATE TABLE records (
  request_id bytea PRIMARY KEY,
  node bytea NOT NULL,
  sequence bigint NOT NULL,
  recorded_us bigint NOT NULL,
  arrived_us bigint NOT NULL,
  ended_us bigint NOT NULL,
  tenant text NOT NULL,
  app text NOT NULL,
  key_id text NOT NULL,
  operation text NOT NULL,
  dialect text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  status integer NOT NULL,
  outcome text NOT NULL,
  fault text,
  origin text,
  stream boolean NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  duration_us bigint NOT NULL,
  first_token_us bigint,
  cost_nanos bigint,
  plan text NOT NULL,
  use_case text NOT NULL,
  end_user text NOT NULL,
  cost_center text NOT NULL,
  price_version text NOT NULL,
  cached_read_tokens bigint NOT NULL,
  cached_write_tokens bigint NOT NULL,
  reasoning_tokens bigint NOT NULL,
  estimated boolean NOT NULL,
  limit_name text,
  limit_kind text,
  limit_verdict text,
  legs_nanos bigint NOT NULL,
  payload bytea NOT NULL
);
CREATE INDEX records_by_time ON records (recorded_us);
CREATE INDEX records_by_node ON records (node, sequence);

-- Attempts that were billed beside the one that answers for the call.
CREATE TABLE legs (
  request_id bytea NOT NULL,
  nth integer NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cached_read_tokens bigint NOT NULL,
  cached_write_tokens bigint NOT NULL,
  reasoning_tokens bigint NOT NULL,
  estimated boolean NOT NULL,
  cost_nanos bigint NOT NULL,
  PRIMARY KEY (request_id, nth)
);

-- What calls took of limits and budgets: the ledger. `settled` is null where
-- nobody knows what it came to, and `reserved` counts.
CREATE TABLE ledger (
  request_id bytea NOT NULL,
  nth integer NOT NULL,
  quota text NOT NULL,
  kind text NOT NULL,
  measure text NOT NULL,
  scope text NOT NULL,
  counter bytea NOT NULL,
  from_us bigint NOT NULL,
  until_us bigint NOT NULL,
  after_us bigint NOT NULL,
  reserved bigint NOT NULL,
  settled bigint,
  level bigint NOT NULL,
  quota_limit bigint NOT NULL,
  attempt bigint,
  PRIMARY KEY (request_id, nth)
);
CREATE INDEX ledger_by_window ON ledger (counter, from_us);
