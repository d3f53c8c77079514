-- Tickets of helpdesks outside.

-- Who writes to a ticket just now.
CREATE TABLE ticket_writers (
    ticket_id TEXT    PRIMARY KEY,
    job_id    INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;
