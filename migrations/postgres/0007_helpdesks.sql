-- Tickets of helpdesks outside.

-- Who writes to a ticket just now.
CREATE TABLE ticket_writers (
    ticket_id TEXT COLLATE "C" PRIMARY KEY,
    job_id BIGINT NOT NULL,
    until BIGINT NOT NULL
) WITH (fillfactor = 50);

-- What a helpdesk has told us, each once, and what became of it.
CREATE TABLE heard (
    id TEXT COLLATE "C" PRIMARY KEY,               -- the helpdesk's, or a hash of what it sent
    ticket_id TEXT COLLATE "C" NOT NULL,
    what TEXT NOT NULL,
    became TEXT NOT NULL CHECK (became IN ('starts','joins','ours','nothing','capped')),
    submission_id TEXT COLLATE "C",                -- what it starts, or joins
    at BIGINT NOT NULL
);
CREATE INDEX heard_at ON heard (at);
CREATE INDEX heard_starts ON heard (at) WHERE became = 'starts';
CREATE INDEX heard_ticket ON heard (ticket_id, at) WHERE became = 'starts';

-- Tokens that had been used when a day began.
CREATE TABLE days (
    day BIGINT PRIMARY KEY,
    tokens BIGINT NOT NULL
);
