-- Tickets of helpdesks outside.

-- Who writes to a ticket just now.
CREATE TABLE ticket_writers (
    ticket_id TEXT    PRIMARY KEY,
    job_id    INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;

-- What a helpdesk has told us, each once, and what became of it.
CREATE TABLE heard (
    id            TEXT    PRIMARY KEY,             -- the helpdesk's, or a hash of what it sent
    ticket_id     TEXT    NOT NULL,
    what          TEXT    NOT NULL,
    became        TEXT    NOT NULL CHECK (became IN ('starts','joins','ours','nothing','capped')),
    submission_id TEXT,                            -- what it starts, or joins
    at            INTEGER NOT NULL
) STRICT;
CREATE INDEX heard_at ON heard (at);
CREATE INDEX heard_starts ON heard (at) WHERE became = 'starts';
CREATE INDEX heard_ticket ON heard (ticket_id, at) WHERE became = 'starts';

-- Tokens that had been used when a day began.
CREATE TABLE days (
    day    INTEGER PRIMARY KEY,
    tokens INTEGER NOT NULL
) STRICT;
