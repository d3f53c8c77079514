-- Times are milliseconds since the Unix epoch. Every CHECK restates a rule of
-- src/domain, so that the database refuses a row that the types cannot hold.

CREATE TABLE deliveries (
    seq            INTEGER PRIMARY KEY,
    project        TEXT    NOT NULL,
    delivery_id    TEXT    NOT NULL,            -- the webhook-id header: the first gate
    event_id       TEXT,
    event_type     TEXT,
    resource_id    TEXT,
    job_key        TEXT,                        -- null: received, no job
    duplicate_of   TEXT,                        -- the first delivery of the same event
    body           BLOB,                        -- as signed; erased by retention, the hash stays
    body_sha256    BLOB    NOT NULL,
    signed_at      INTEGER NOT NULL,
    secret_hint    TEXT    NOT NULL,
    received_at    INTEGER NOT NULL,
    copies         INTEGER NOT NULL DEFAULT 1,  -- how often this webhook-id has come
    altered_copies INTEGER NOT NULL DEFAULT 0,  -- how many of them with another body
    note           TEXT,                        -- why there is no job
    UNIQUE (delivery_id, project),
    CHECK (job_key IS NOT NULL OR note IS NOT NULL)
) STRICT;
CREATE INDEX deliveries_duplicates ON deliveries (project, duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX deliveries_parked ON deliveries (seq) WHERE job_key IS NULL;
CREATE INDEX deliveries_parked_event ON deliveries (event_id, project) WHERE job_key IS NULL;

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    project       TEXT    NOT NULL,
    key           TEXT    NOT NULL,             -- the work itself: the second gate
    event_id      TEXT,
    event_type    TEXT    NOT NULL,
    resource_id   TEXT    NOT NULL,
    delivery_id   TEXT,                         -- the delivery that made it
    state         TEXT    NOT NULL CHECK (state IN ('queued','processing','processed','failed_retryable','failed_final')),
    since         INTEGER NOT NULL,             -- in this state since
    queued_at     INTEGER NOT NULL,
    claimable_at  INTEGER,                      -- now, the retry time, or the lease's end
    forget_at     INTEGER NOT NULL,             -- when OpenAI may forget the result
    claims        INTEGER NOT NULL DEFAULT 0,   -- the fence: each claim gets the next number
    attempts      INTEGER NOT NULL DEFAULT 0,   -- claims that count against the limit
    calls         INTEGER NOT NULL DEFAULT 0,   -- times OpenAI was asked for it
    started_at    INTEGER,
    worker        TEXT,
    outcome       TEXT    CHECK (outcome IN ('applied','held','ignored','discarded')),
    reason        TEXT,                         -- of the outcome, or of the discard
    error_cause   TEXT,
    error_detail  TEXT,
    ticket_id     TEXT,
    workflow      TEXT,
    submission_id TEXT,
    UNIQUE (key, project),
    CHECK ((claimable_at IS NULL) = (state IN ('processed','failed_final'))),
    CHECK ((worker IS NOT NULL) = (state = 'processing')),
    CHECK (state <> 'processed' OR (outcome IS NOT NULL AND outcome IN ('applied','held','ignored'))),
    CHECK (outcome IS NULL OR state = 'processed' OR (state = 'failed_final' AND outcome = 'discarded')),
    CHECK (state NOT IN ('failed_retryable','failed_final') OR error_cause IS NOT NULL)
) STRICT;
CREATE INDEX jobs_queued ON jobs (project, forget_at, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (project, claimable_at) WHERE state IN ('processing','failed_retryable');
CREATE INDEX jobs_resource ON jobs (resource_id);
CREATE INDEX jobs_ticket ON jobs (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (since) WHERE state = 'failed_final';

-- What was fetched, kept at once so that a helpdesk outage cannot lose it.
CREATE TABLE results (
    project     TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    raw         TEXT,                           -- erased by retention
    fetched_at  INTEGER NOT NULL,
    PRIMARY KEY (resource_id, project)
) STRICT;

-- Every change to a ticket: the intent first, the receipt after. The third gate.
CREATE TABLE effects (
    id          INTEGER PRIMARY KEY,
    project     TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    ticket_id   TEXT    NOT NULL,
    slot        TEXT    NOT NULL,
    ref         TEXT    NOT NULL UNIQUE,
    payload     TEXT,
    state       TEXT    NOT NULL CHECK (state IN ('applying','applied')),
    job_id      INTEGER NOT NULL REFERENCES jobs (id),
    external_id TEXT,                           -- the helpdesk's own id of what was written
    planned_at  INTEGER NOT NULL,
    applied_at  INTEGER,
    UNIQUE (resource_id, ticket_id, slot, project),
    CHECK ((state = 'applied') = (applied_at IS NOT NULL))
) STRICT;

CREATE TABLE submissions (
    id              TEXT    PRIMARY KEY,
    project         TEXT    NOT NULL,
    ticket_id       TEXT    NOT NULL,
    workflow        TEXT    NOT NULL,
    prompt_version  TEXT    NOT NULL,
    ticket_revision INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('starting','started','refused','unknown','ended')),
    resource_id     TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    error_cause     TEXT,
    error_detail    TEXT,
    actor           TEXT    NOT NULL,
    CHECK (state <> 'started' OR resource_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX submissions_resource ON submissions (resource_id, project) WHERE resource_id IS NOT NULL;
CREATE INDEX submissions_ticket ON submissions (ticket_id);

CREATE TABLE reviews (
    id            TEXT    PRIMARY KEY,
    seq           INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL DEFAULT 1,
    state         TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open','claimed','approved','rejected','stale','expired')),
    reason        TEXT    NOT NULL,
    detail        TEXT    NOT NULL,
    topics        TEXT    NOT NULL DEFAULT '[]',
    project       TEXT    NOT NULL,
    ticket_id     TEXT,
    resource_id   TEXT    NOT NULL,
    workflow      TEXT,
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    proposed      TEXT    NOT NULL DEFAULT '[]',
    output        TEXT,
    created_at    INTEGER NOT NULL,
    claimed_by    TEXT,
    claimed_until INTEGER,
    decided_by    TEXT,
    decided_at    INTEGER,
    UNIQUE (resource_id, project)
) STRICT;
CREATE INDEX reviews_state ON reviews (state, seq);
CREATE INDEX reviews_ticket ON reviews (ticket_id) WHERE ticket_id IS NOT NULL;

-- One row a condition: opened once, closed once, however often it is met.
CREATE TABLE alerts (
    id        INTEGER PRIMARY KEY,
    kind      TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    opened_at INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    times     INTEGER NOT NULL DEFAULT 1,
    closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE closed_at IS NULL;

-- Refused requests, counted by day and cause; they are never events.
CREATE TABLE refusals (
    day         INTEGER NOT NULL,               -- days since the epoch
    project     TEXT    NOT NULL,
    code        TEXT    NOT NULL,
    count       INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    explanation TEXT    NOT NULL,               -- of the last one, for the operator
    PRIMARY KEY (day, project, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    name       TEXT    PRIMARY KEY,
    role       TEXT    NOT NULL CHECK (role IN ('admin','lead','agent')),
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- The built-in desk.
CREATE TABLE tickets (
    id         TEXT    PRIMARY KEY,
    seq        INTEGER NOT NULL UNIQUE,
    subject    TEXT    NOT NULL,
    status     TEXT    NOT NULL DEFAULT 'open',
    queue      TEXT    NOT NULL,
    priority   TEXT    NOT NULL DEFAULT 'normal' CHECK (priority IN ('low','normal','high','urgent')),
    intent     TEXT,
    tags       TEXT    NOT NULL DEFAULT '[]',
    fields     TEXT    NOT NULL DEFAULT '{}',
    revision   INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE messages (
    id         INTEGER PRIMARY KEY,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    author     TEXT    NOT NULL CHECK (author IN ('customer','agent','frontdesk')),
    visibility TEXT    NOT NULL CHECK (visibility IN ('public','internal')),
    body       TEXT    NOT NULL,
    ref        TEXT    UNIQUE,                  -- our marker: looked for before a second write
    created_at INTEGER NOT NULL,
    -- Nothing this program writes by itself is seen by a customer.
    CHECK (author <> 'frontdesk' OR visibility = 'internal')
) STRICT;
CREATE INDEX messages_ticket ON messages (ticket_id, id);

CREATE TABLE drafts (
    id         INTEGER PRIMARY KEY,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    body       TEXT    NOT NULL,
    state      TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open','sent','rejected','stale')),
    ref        TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX drafts_ticket ON drafts (ticket_id, id);

-- Field changes leave no text on the ticket that could carry a marker, so the
-- desk keeps the marker here, in the same transaction as the change.
CREATE TABLE desk_changes (
    ref        TEXT    PRIMARY KEY,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    before     TEXT    NOT NULL,                -- what the fields were, for an undo
    after      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Ends are counted as they happen, so that no screen ever counts rows.
CREATE TABLE tallies (
    name  TEXT    PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The readiness check writes here, because only a write shows that a write can be made.
CREATE TABLE pulse (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;
