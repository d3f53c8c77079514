-- Batches: one change-set over many tickets, with a ledger of its lines.
-- SQLite cannot change a CHECK, so jobs are made anew for the new kinds.

CREATE TABLE jobs_new (
    id             INTEGER PRIMARY KEY,
    project        TEXT    NOT NULL,
    key            TEXT    NOT NULL,             -- the work itself: the second gate
    kind           TEXT    NOT NULL DEFAULT 'ending' CHECK (kind IN ('ending','approval','start','build','line','undo')),
    event_id       TEXT,
    event_type     TEXT    NOT NULL,
    resource_id    TEXT    NOT NULL,
    delivery_id    TEXT,                         -- the delivery that made it
    state          TEXT    NOT NULL CHECK (state IN ('queued','processing','processed','failed_retryable','failed_final')),
    since          INTEGER NOT NULL,             -- in this state since
    queued_at      INTEGER NOT NULL,
    claimable_at   INTEGER,                      -- now, the end of an undo window, the retry time, or the lease's end
    forget_at      INTEGER NOT NULL,             -- when OpenAI may forget the result
    claims         INTEGER NOT NULL DEFAULT 0,   -- the fence: each claim gets the next number
    attempts       INTEGER NOT NULL DEFAULT 0,   -- claims that count against the limit
    calls          INTEGER NOT NULL DEFAULT 0,   -- times OpenAI was asked for it
    started_at     INTEGER,
    worker         TEXT,
    outcome        TEXT    CHECK (outcome IN ('applied','held','ignored','superseded','discarded')),
    reason         TEXT,                         -- of the outcome, or of the discard
    error_cause    TEXT,
    error_detail   TEXT,
    ticket_id      TEXT,
    workflow       TEXT,
    submission_id  TEXT,
    policy_version INTEGER,                      -- the policy that decided
    UNIQUE (key, project),
    CHECK ((claimable_at IS NULL) = (state IN ('processed','failed_final'))),
    CHECK ((worker IS NOT NULL) = (state = 'processing')),
    CHECK (state <> 'processed' OR (outcome IS NOT NULL AND outcome IN ('applied','held','ignored','superseded'))),
    CHECK (outcome IS NULL OR state = 'processed' OR (state = 'failed_final' AND outcome = 'discarded')),
    CHECK (state NOT IN ('failed_retryable','failed_final') OR error_cause IS NOT NULL)
) STRICT;
INSERT INTO jobs_new SELECT * FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_new RENAME TO jobs;
CREATE INDEX jobs_queued ON jobs (project, forget_at, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (project, claimable_at) WHERE state IN ('processing','failed_retryable');
CREATE INDEX jobs_without_openai ON jobs (project, claimable_at) WHERE kind IN ('approval','line','undo') AND claimable_at IS NOT NULL;
CREATE INDEX jobs_resource ON jobs (resource_id);
CREATE INDEX jobs_ticket ON jobs (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (since) WHERE state = 'failed_final';

CREATE TABLE batches (
    id             TEXT    PRIMARY KEY,          -- bat_…; of another program OpenAI's own id
    seq            INTEGER NOT NULL UNIQUE,
    project        TEXT    NOT NULL,
    workflow       TEXT    NOT NULL,
    prompt_version TEXT,                         -- null for work of another program
    version        INTEGER NOT NULL DEFAULT 1,   -- goes up with everything a person does
    state          TEXT    NOT NULL CHECK (state IN ('building','submitted','ended','waiting','applying','applied','undone','rejected','failed')),
    since          INTEGER NOT NULL,
    origin         TEXT    NOT NULL CHECK (origin IN ('person','schedule','requeue','elsewhere')),
    actor          TEXT    NOT NULL,             -- who asked for it
    wanted         TEXT,                         -- tickets or a filter, cap and budget, as JSON
    again_of       TEXT,                         -- the batch whose lines were not executed
    created_at     INTEGER NOT NULL,
    made_at        INTEGER,                      -- of another program, when OpenAI says it was made
    waits_for      TEXT,                         -- why a person decides: size, drift, setting
    decided_by     TEXT,
    decided_at     INTEGER,
    paused_by      TEXT,                         -- a person, or frontdesk after too many failures
    paused_at      INTEGER,
    pause_reason   TEXT,
    fed_to         INTEGER NOT NULL DEFAULT 0,   -- lines up to this number have had their jobs
    in_flight      INTEGER NOT NULL DEFAULT 0,   -- jobs of lines that have not ended
    next_at        INTEGER NOT NULL DEFAULT 0,   -- the next line may go then: the pace
    pace           INTEGER NOT NULL DEFAULT 0,   -- lines a minute, 0 for no limit; as the settings were when it was read
    window         INTEGER NOT NULL DEFAULT 200, -- lines that have jobs at the same time
    stop_after     INTEGER NOT NULL DEFAULT 10,  -- so many failed lines stop it
    undone_to      INTEGER NOT NULL DEFAULT 0,   -- an undo has come this far
    undone_by      TEXT,
    error          TEXT,                         -- why it failed
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK (state <> 'waiting' OR waits_for IS NOT NULL)
) STRICT;
CREATE INDEX batches_state ON batches (state, seq);
CREATE INDEX batches_workflow ON batches (workflow, seq) WHERE state = 'applied';

-- One batch at OpenAI; its submission has the same id. One of another program
-- has OpenAI's id and no submission.
CREATE TABLE batch_parts (
    id             TEXT    PRIMARY KEY,
    batch_id       TEXT    NOT NULL REFERENCES batches (id),
    project        TEXT    NOT NULL,
    number         INTEGER NOT NULL,             -- from 1
    lines          INTEGER NOT NULL DEFAULT 0,
    bytes          INTEGER NOT NULL DEFAULT 0,   -- of the input file
    file_id        TEXT,                         -- the input file at OpenAI, once uploaded
    resource_id    TEXT,                         -- batch_…, once known
    status         TEXT,                         -- OpenAI's word for how it ended
    errors         TEXT,                         -- OpenAI's errors by input line, as JSON
    said           TEXT,                         -- OpenAI's own counts and usage, as JSON; shown, not trusted
    read_at        INTEGER,                      -- when both files had been read to their ends
    UNIQUE (batch_id, number)
) STRICT;
CREATE UNIQUE INDEX batch_parts_resource ON batch_parts (resource_id, project) WHERE resource_id IS NOT NULL;

-- The ledger: what was asked, what OpenAI's files say, what became of it.
CREATE TABLE batch_lines (
    batch_id  TEXT    NOT NULL REFERENCES batches (id),
    number    INTEGER NOT NULL,                  -- from 1; what nobody asked for comes after
    part      INTEGER NOT NULL,
    custom_id TEXT,
    ticket_id TEXT,
    revision  INTEGER,                           -- the ticket's, when the prompt was made
    made_at   INTEGER,
    found     TEXT,                              -- where its result was read, as output:17
    result    TEXT    NOT NULL CHECK (result IN ('awaited','ok','held','failed','missing','unknown','duplicate','unreadable')),
    reason    TEXT,                              -- a code
    fate      TEXT    CHECK (fate IN ('queued','applied','held','skipped','failed','undone','kept')),
    PRIMARY KEY (batch_id, number),
    CHECK ((result IN ('awaited','missing')) = (found IS NULL)),
    CHECK (fate IS NULL OR result IN ('ok','held')),
    CHECK (custom_id IS NOT NULL OR result IN ('unreadable'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX batch_lines_custom ON batch_lines (batch_id, custom_id) WHERE result NOT IN ('unknown','duplicate','unreadable');
CREATE UNIQUE INDEX batch_lines_found ON batch_lines (batch_id, part, found) WHERE found IS NOT NULL;
CREATE INDEX batch_lines_outcome ON batch_lines (batch_id, coalesce(fate, result), number);
CREATE INDEX batch_lines_ticket ON batch_lines (ticket_id) WHERE ticket_id IS NOT NULL;

-- Counted as it happens, so that no screen counts lines: `result/ok`, `fate/applied`,
-- `reason/refused`, and what would change, as `set/priority/urgent`.
CREATE TABLE batch_counts (
    batch_id TEXT    NOT NULL REFERENCES batches (id),
    name     TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (batch_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch_schedules (
    name       TEXT    PRIMARY KEY,
    stated     TEXT    NOT NULL,                 -- its times, as the settings state them: others begin anew
    next_at    INTEGER NOT NULL,
    last_at    INTEGER,
    last_batch TEXT
) STRICT, WITHOUT ROWID;

ALTER TABLE tickets ADD COLUMN changed_at INTEGER;      -- when a person last changed it; null: not since it was made
CREATE INDEX tickets_queue ON tickets (status, queue, seq);
ALTER TABLE desk_changes ADD COLUMN undone_at INTEGER;
ALTER TABLE effects ADD COLUMN undone_at INTEGER;
