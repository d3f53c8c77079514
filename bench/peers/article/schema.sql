-- The article's webhook record (step 5) and the support tickets it updates.
-- Every statement leaves the tables empty: each measurement starts from nothing.
DROP TABLE IF EXISTS webhook_events, ticket_messages, tickets;

CREATE TABLE webhook_events (
  delivery_id   text PRIMARY KEY,
  event_id      text NOT NULL,
  event_type    text NOT NULL,
  payload       jsonb NOT NULL,
  status        text NOT NULL,
  received_at   timestamptz NOT NULL,
  attempt_count integer NOT NULL DEFAULT 0,
  last_error    text
);

CREATE TABLE tickets (
  id         text PRIMARY KEY,
  subject    text NOT NULL,
  intent     text,
  priority   text NOT NULL DEFAULT 'normal',
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ticket_messages (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ticket_id   text NOT NULL REFERENCES tickets (id),
  author      text NOT NULL,
  body        text NOT NULL,
  response_id text,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_messages_by_ticket ON ticket_messages (ticket_id);

INSERT INTO tickets (id, subject)
  SELECT 'T-' || n, 'Benchmark ticket ' || n FROM generate_series(1, :tickets) AS n;
INSERT INTO ticket_messages (ticket_id, author, body)
  SELECT 'T-' || n, 'customer', 'Where is my order?' FROM generate_series(1, :tickets) AS n;
ANALYZE;
CHECKPOINT;
