-- Batches: one change-set over many tickets, with a ledger of its lines.

ALTER TABLE jobs
    DROP CONSTRAINT jobs_kind_check,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('ending','approval','start','build','line','undo'));
DROP INDEX jobs_approvals;
CREATE INDEX jobs_without_openai ON jobs (project, claimable_at) WHERE kind IN ('approval','line','undo') AND claimable_at IS NOT NULL;

CREATE TABLE batches (
    id             TEXT COLLATE "C" PRIMARY KEY,
    seq            BIGINT NOT NULL UNIQUE,
    project        TEXT COLLATE "C" NOT NULL,
    workflow       TEXT COLLATE "C" NOT NULL,
    prompt_version TEXT COLLATE "C",
    version        BIGINT NOT NULL DEFAULT 1,
    state          TEXT COLLATE "C" NOT NULL CHECK (state IN ('building','submitted','ended','waiting','applying','applied','undone','rejected','failed')),
    since          BIGINT NOT NULL,
    origin         TEXT COLLATE "C" NOT NULL CHECK (origin IN ('person','schedule','requeue','elsewhere')),
    actor          TEXT COLLATE "C" NOT NULL,
    wanted         TEXT COLLATE "C",
    again_of       TEXT COLLATE "C",
    created_at     BIGINT NOT NULL,
    made_at        BIGINT,
    waits_for      TEXT COLLATE "C",
    decided_by     TEXT COLLATE "C",
    decided_at     BIGINT,
    paused_by      TEXT COLLATE "C",
    paused_at      BIGINT,
    pause_reason   TEXT COLLATE "C",
    fed_to         BIGINT NOT NULL DEFAULT 0,
    in_flight      BIGINT NOT NULL DEFAULT 0,
    next_at        BIGINT NOT NULL DEFAULT 0,
    pace           BIGINT NOT NULL DEFAULT 0,
    "window"       BIGINT NOT NULL DEFAULT 200,
    stop_after     BIGINT NOT NULL DEFAULT 10,
    undone_to      BIGINT NOT NULL DEFAULT 0,
    undone_by      TEXT COLLATE "C",
    error          TEXT COLLATE "C",
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK (state <> 'waiting' OR waits_for IS NOT NULL)
) WITH (fillfactor = 50);
CREATE INDEX batches_state ON batches (state, seq);
CREATE INDEX batches_workflow ON batches (workflow, seq) WHERE state = 'applied';

-- One batch at OpenAI; its submission has the same id. One of another program
-- has OpenAI's id and no submission.
CREATE TABLE batch_parts (
    id             TEXT COLLATE "C" PRIMARY KEY,
    batch_id       TEXT COLLATE "C" NOT NULL REFERENCES batches (id),
    project        TEXT COLLATE "C" NOT NULL,
    number         BIGINT NOT NULL,
    lines          BIGINT NOT NULL DEFAULT 0,
    bytes          BIGINT NOT NULL DEFAULT 0,
    file_id        TEXT COLLATE "C",
    resource_id    TEXT COLLATE "C",
    status         TEXT COLLATE "C",
    errors         TEXT COLLATE "C",
    said           TEXT COLLATE "C",
    read_at        BIGINT,
    UNIQUE (batch_id, number)
);
CREATE UNIQUE INDEX batch_parts_resource ON batch_parts (resource_id, project) WHERE resource_id IS NOT NULL;

-- The ledger: what was asked, what OpenAI's files say, what became of it.
CREATE TABLE batch_lines (
    batch_id  TEXT COLLATE "C" NOT NULL REFERENCES batches (id),
    number    BIGINT NOT NULL,
    part      BIGINT NOT NULL,
    custom_id TEXT COLLATE "C",
    ticket_id TEXT COLLATE "C",
    revision  BIGINT,
    made_at   BIGINT,
    found     TEXT COLLATE "C",
    result    TEXT COLLATE "C" NOT NULL CHECK (result IN ('awaited','ok','held','failed','missing','unknown','duplicate','unreadable')),
    reason    TEXT COLLATE "C",
    fate      TEXT COLLATE "C" CHECK (fate IN ('queued','applied','held','skipped','failed','undone','kept')),
    PRIMARY KEY (batch_id, number),
    CHECK ((result IN ('awaited','missing')) = (found IS NULL)),
    CHECK (fate IS NULL OR result IN ('ok','held')),
    CHECK (custom_id IS NOT NULL OR result IN ('unreadable'))
);
CREATE UNIQUE INDEX batch_lines_custom ON batch_lines (batch_id, custom_id) WHERE result NOT IN ('unknown','duplicate','unreadable');
CREATE UNIQUE INDEX batch_lines_found ON batch_lines (batch_id, part, found) WHERE found IS NOT NULL;
CREATE INDEX batch_lines_outcome ON batch_lines (batch_id, coalesce(fate, result), number);
CREATE INDEX batch_lines_ticket ON batch_lines (ticket_id) WHERE ticket_id IS NOT NULL;

-- Counted as it happens, so that no screen counts lines: `result/ok`, `fate/applied`,
-- `reason/refused`, and what would change, as `set/priority/urgent`.
CREATE TABLE batch_counts (
    batch_id TEXT COLLATE "C" NOT NULL REFERENCES batches (id),
    name     TEXT COLLATE "C" NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (batch_id, name)
) WITH (fillfactor = 50);

CREATE TABLE batch_schedules (
    name       TEXT COLLATE "C" PRIMARY KEY,
    stated     TEXT COLLATE "C" NOT NULL,
    next_at    BIGINT NOT NULL,
    last_at    BIGINT,
    last_batch TEXT COLLATE "C"
);

ALTER TABLE tickets ADD COLUMN changed_at BIGINT;
CREATE INDEX tickets_queue ON tickets (status, queue, seq);
ALTER TABLE desk_changes ADD COLUMN undone_at BIGINT;
ALTER TABLE effects ADD COLUMN undone_at BIGINT;
