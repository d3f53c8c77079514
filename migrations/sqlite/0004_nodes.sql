-- Many processes may share one database. What was walked in the order of its row
-- ids has a number of its own; counts lie in shards, so that two writers need not
-- wait for each other; and there is a place for who is there and who leads.

CREATE TABLE submissions_new (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    project         TEXT    NOT NULL,
    kind            TEXT    NOT NULL DEFAULT 'response' CHECK (kind IN ('response','batch')),
    ticket_id       TEXT    NOT NULL,
    workflow        TEXT    NOT NULL,
    prompt_version  TEXT,                       -- null until the prompt is made
    ticket_revision INTEGER,                    -- null until the prompt is made
    state           TEXT    NOT NULL CHECK (state IN ('planned','starting','started','refused','unknown','ended','lost')),
    resource_id     TEXT,
    created_at      INTEGER NOT NULL,
    made_at         INTEGER,                    -- when the prompt was made from the ticket
    started_at      INTEGER,
    ended_at        INTEGER,
    check_at        INTEGER,                    -- when to ask OpenAI ourselves; null: never
    deadline_at     INTEGER NOT NULL,           -- past it somebody is told
    polls           INTEGER NOT NULL DEFAULT 0, -- how often OpenAI was asked
    found_by        TEXT    CHECK (found_by IN ('webhook','poll')),
    origin          TEXT    NOT NULL DEFAULT 'person' CHECK (origin IN ('person','resubmit','follow_up')),
    retry_of        TEXT,                       -- the resource that failed before it
    error_cause     TEXT,
    error_detail    TEXT,
    actor           TEXT    NOT NULL,
    CHECK (state <> 'started' OR resource_id IS NOT NULL),
    CHECK (state IN ('planned','refused','lost') OR prompt_version IS NOT NULL),
    CHECK (check_at IS NULL OR state IN ('starting','started','unknown'))
) STRICT;
INSERT INTO submissions_new SELECT rowid, * FROM submissions ORDER BY rowid;
DROP TABLE submissions;
ALTER TABLE submissions_new RENAME TO submissions;
CREATE UNIQUE INDEX submissions_resource ON submissions (resource_id, project) WHERE resource_id IS NOT NULL;
CREATE INDEX submissions_ticket ON submissions (ticket_id);
CREATE INDEX submissions_check ON submissions (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX submissions_again ON submissions (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX submissions_open ON submissions (deadline_at) WHERE state IN ('planned','starting','started','unknown');
CREATE INDEX submissions_lost ON submissions (project) WHERE state = 'lost';

CREATE TABLE results_new (
    seq         INTEGER PRIMARY KEY,
    project     TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    raw         TEXT,                           -- erased by retention
    fetched_at  INTEGER NOT NULL,
    erased_at   INTEGER,
    UNIQUE (resource_id, project)
) STRICT;
INSERT INTO results_new SELECT rowid, project, resource_id, raw, fetched_at, erased_at FROM results ORDER BY rowid;
DROP TABLE results;
ALTER TABLE results_new RENAME TO results;

CREATE TABLE desk_changes_new (
    seq        INTEGER PRIMARY KEY,
    ref        TEXT    NOT NULL UNIQUE,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    before     TEXT    NOT NULL,                -- what the fields were, for an undo
    after      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    undone_at  INTEGER
) STRICT;
INSERT INTO desk_changes_new SELECT rowid, ref, ticket_id, before, after, created_at, undone_at FROM desk_changes ORDER BY rowid;
DROP TABLE desk_changes;
ALTER TABLE desk_changes_new RENAME TO desk_changes;

CREATE TABLE tallies_new (
    name  TEXT    NOT NULL,
    shard INTEGER NOT NULL DEFAULT 0,           -- of the connection that counted; the count is the sum
    count INTEGER NOT NULL,
    PRIMARY KEY (name, shard)
) STRICT, WITHOUT ROWID;
INSERT INTO tallies_new (name, count) SELECT name, count FROM tallies;
DROP TABLE tallies;
ALTER TABLE tallies_new RENAME TO tallies;

-- Work that one process does for all: who does it, and until when unless it goes on.
CREATE TABLE leases (
    name    TEXT    PRIMARY KEY,
    holder  TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    took_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which processes are there.
CREATE TABLE nodes (
    name       TEXT    PRIMARY KEY,
    version    TEXT    NOT NULL,
    schema     INTEGER NOT NULL,                -- the newest migration it knows
    roles      TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
