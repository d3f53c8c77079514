-- Tickets of helpdesks outside.

-- Who writes to a ticket just now.
CREATE TABLE ticket_writers (
    ticket_id TEXT COLLATE "C" PRIMARY KEY,
    job_id BIGINT NOT NULL,
    until BIGINT NOT NULL
) WITH (fillfactor = 50);
