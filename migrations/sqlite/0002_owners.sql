-- Every ending gets an owner: reviews that people decide, work that is looked
-- after until its end, alerts that are sent, and a trail of who did what.
-- SQLite cannot change a CHECK, so some tables are made anew; foreign keys are
-- off meanwhile and checked before the commit.

CREATE TABLE jobs_new (
    id             INTEGER PRIMARY KEY,
    project        TEXT    NOT NULL,
    key            TEXT    NOT NULL,             -- the work itself: the second gate
    kind           TEXT    NOT NULL DEFAULT 'ending' CHECK (kind IN ('ending','approval','start')),
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
INSERT INTO jobs_new (id, project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at, claimable_at,
                      forget_at, claims, attempts, calls, started_at, worker, outcome, reason, error_cause, error_detail,
                      ticket_id, workflow, submission_id)
    SELECT id, project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at, claimable_at,
           forget_at, claims, attempts, calls, started_at, worker, outcome, reason, error_cause, error_detail,
           ticket_id, workflow, submission_id FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_new RENAME TO jobs;
CREATE INDEX jobs_queued ON jobs (project, forget_at, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (project, claimable_at) WHERE state IN ('processing','failed_retryable');
CREATE INDEX jobs_approvals ON jobs (project, claimable_at) WHERE kind = 'approval' AND claimable_at IS NOT NULL;
CREATE INDEX jobs_resource ON jobs (resource_id);
CREATE INDEX jobs_ticket ON jobs (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (since) WHERE state = 'failed_final';

CREATE TABLE effects_new (
    id          INTEGER PRIMARY KEY,
    project     TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    ticket_id   TEXT    NOT NULL,
    slot        TEXT    NOT NULL,
    ref         TEXT    NOT NULL UNIQUE,
    payload     TEXT,                           -- erased by retention
    permission  TEXT,                           -- whose leave a customer may see it by
    state       TEXT    NOT NULL CHECK (state IN ('applying','applied','dropped')),
    job_id      INTEGER NOT NULL REFERENCES jobs (id),
    external_id TEXT,                           -- the helpdesk's own id of what was written
    planned_at  INTEGER NOT NULL,
    applied_at  INTEGER,
    UNIQUE (resource_id, ticket_id, slot, project),
    CHECK ((state = 'applied') = (applied_at IS NOT NULL)),
    -- Nothing goes to a customer that neither a person nor the policy allowed.
    CHECK ((slot = 'reply') = (permission IS NOT NULL))
) STRICT;
INSERT INTO effects_new (id, project, resource_id, ticket_id, slot, ref, payload, state, job_id, external_id, planned_at, applied_at)
    SELECT id, project, resource_id, ticket_id, slot, ref, payload, state, job_id, external_id, planned_at, applied_at FROM effects;
DROP TABLE effects;
ALTER TABLE effects_new RENAME TO effects;
CREATE INDEX effects_ticket ON effects (ticket_id);

-- The newest work of a workflow that has been written to a ticket, or waits for
-- a person: an older result that comes later changes nothing any more.
CREATE TABLE newest (
    ticket_id   TEXT    NOT NULL,
    workflow    TEXT    NOT NULL,
    project     TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,               -- when the work was started from the ticket
    PRIMARY KEY (ticket_id, workflow)
) STRICT, WITHOUT ROWID;

CREATE TABLE submissions_new (
    id              TEXT    PRIMARY KEY,
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
INSERT INTO submissions_new (id, project, ticket_id, workflow, prompt_version, ticket_revision, state, resource_id, created_at, made_at,
                             started_at, ended_at, check_at, deadline_at, error_cause, error_detail, actor)
    SELECT id, project, ticket_id, workflow, prompt_version, ticket_revision, state, resource_id, created_at, created_at,
           started_at, ended_at, CASE WHEN state IN ('starting','started','unknown') THEN created_at + 600000 END,
           created_at + 3600000, error_cause, error_detail, actor FROM submissions;
DROP TABLE submissions;
ALTER TABLE submissions_new RENAME TO submissions;
CREATE UNIQUE INDEX submissions_resource ON submissions (resource_id, project) WHERE resource_id IS NOT NULL;
CREATE INDEX submissions_ticket ON submissions (ticket_id);
CREATE INDEX submissions_check ON submissions (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX submissions_again ON submissions (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX submissions_open ON submissions (deadline_at) WHERE state IN ('planned','starting','started','unknown');
CREATE INDEX submissions_lost ON submissions (project) WHERE state = 'lost';

ALTER TABLE reviews ADD COLUMN effects TEXT NOT NULL DEFAULT '[]';        -- what approval would change, as data
ALTER TABLE reviews ADD COLUMN reply TEXT;                                -- what approval would send
ALTER TABLE reviews ADD COLUMN draft_ref TEXT;                            -- the draft that lies on the ticket meanwhile
ALTER TABLE reviews ADD COLUMN ticket TEXT;                               -- the ticket as it was
ALTER TABLE reviews ADD COLUMN seen TEXT;                                 -- how far the conversation had come
ALTER TABLE reviews ADD COLUMN text_slot TEXT CHECK (text_slot IN ('note','reply')); -- where a person's text goes
ALTER TABLE reviews ADD COLUMN prompt_version TEXT;
ALTER TABLE reviews ADD COLUMN policy_version INTEGER;
ALTER TABLE reviews ADD COLUMN matches TEXT NOT NULL DEFAULT '[]';        -- rules that hit, with offsets and no text
ALTER TABLE reviews ADD COLUMN reviewers TEXT NOT NULL DEFAULT '["agent"]'; -- roles and names that may decide
ALTER TABLE reviews ADD COLUMN approvals_needed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE reviews ADD COLUMN undo_ms INTEGER NOT NULL DEFAULT 0;        -- how long an approval can be taken back
ALTER TABLE reviews ADD COLUMN first_approved_by TEXT;
ALTER TABLE reviews ADD COLUMN text TEXT;                                 -- the text as approved
ALTER TABLE reviews ADD COLUMN decision_reason TEXT;
ALTER TABLE reviews ADD COLUMN undo_until INTEGER;
ALTER TABLE reviews ADD COLUMN escalated_by TEXT;
ALTER TABLE reviews ADD COLUMN stale_reason TEXT;
ALTER TABLE reviews ADD COLUMN made_at INTEGER;
ALTER TABLE reviews ADD COLUMN erased_at INTEGER;

CREATE INDEX reviews_unerased ON reviews (created_at) WHERE erased_at IS NULL;

-- How drafts fared: no text, only what leads and prompt writers count.
CREATE TABLE feedback (
    review_id      TEXT    PRIMARY KEY REFERENCES reviews (id),
    workflow       TEXT    NOT NULL,
    prompt_version TEXT,
    verdict        TEXT    NOT NULL CHECK (verdict IN ('kept','edited','rejected')),
    distance       REAL,                        -- 0: sent as drafted, 1: nothing of it left
    reason         TEXT,                        -- of a rejection, from the list
    actor          TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    CHECK ((verdict = 'rejected') = (distance IS NULL))
) STRICT;
CREATE INDEX feedback_at ON feedback (at);

-- Who did what; nothing here is ever changed or removed.
CREATE TABLE audit_trail (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL DEFAULT '{}'       -- codes, ids and counts; never content
) STRICT;
CREATE INDEX audit_trail_subject ON audit_trail (subject, seq);
CREATE TRIGGER audit_trail_is_not_changed BEFORE UPDATE ON audit_trail BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_trail_is_not_deleted BEFORE DELETE ON audit_trail BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TABLE pauses (
    kind   TEXT    NOT NULL CHECK (kind IN ('workflow','dependency')),
    name   TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- A notice is told once and is over at once; a condition lasts until it is over.
ALTER TABLE alerts ADD COLUMN notice INTEGER NOT NULL DEFAULT 0;

-- What was, or is to be, sent of an alert, and over which channel.
CREATE TABLE alert_sends (
    id       INTEGER PRIMARY KEY,
    alert_id INTEGER NOT NULL REFERENCES alerts (id),
    channel  TEXT    NOT NULL,
    word     TEXT    NOT NULL CHECK (word IN ('opened','recovered','notice')),
    state    TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','sent','given_up')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at  INTEGER NOT NULL,
    sent_at  INTEGER,                           -- the last time it went out
    error    TEXT,
    since    INTEGER NOT NULL,                  -- when this telling was due
    told     INTEGER NOT NULL DEFAULT 1,        -- which telling it is: an open alert is told again
    done     INTEGER NOT NULL DEFAULT 0,        -- nothing more will be told about it
    UNIQUE (alert_id, channel, word)
) STRICT;
CREATE INDEX alert_sends_waiting ON alert_sends (next_at) WHERE state = 'waiting';
CREATE INDEX alert_sends_standing ON alert_sends (channel) WHERE word = 'opened' AND done = 0;
CREATE INDEX alerts_key ON alerts (kind, subject);
CREATE INDEX alerts_notices ON alerts (opened_at) WHERE notice = 1;

-- Every policy that has ever decided, as it was loaded.
CREATE TABLE policies (
    version       INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    first_used_at INTEGER NOT NULL,
    PRIMARY KEY (version, sha256)
) STRICT, WITHOUT ROWID;

-- How far a watcher has read.
CREATE TABLE marks (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE deliveries ADD COLUMN dismissed_at INTEGER;     -- a parked delivery that a person has seen
ALTER TABLE deliveries ADD COLUMN dismissed_by TEXT;
CREATE INDEX deliveries_undismissed ON deliveries (event_type, received_at) WHERE job_key IS NULL AND dismissed_at IS NULL;
ALTER TABLE results ADD COLUMN erased_at INTEGER;
ALTER TABLE tickets ADD COLUMN erased_at INTEGER;

CREATE TABLE messages_new (
    id         INTEGER PRIMARY KEY,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    author     TEXT    NOT NULL CHECK (author IN ('customer','agent','frontdesk')),
    visibility TEXT    NOT NULL CHECK (visibility IN ('public','internal')),
    body       TEXT    NOT NULL,
    ref        TEXT    UNIQUE,                  -- our marker: looked for before a second write
    permission TEXT,                            -- whose leave a customer may see it by
    created_at INTEGER NOT NULL,
    -- What this program writes is seen by a customer only by leave of a person or the policy.
    CHECK (ref IS NULL OR visibility = 'internal' OR permission IS NOT NULL),
    CHECK (author <> 'frontdesk' OR visibility = 'internal' OR permission IS NOT NULL)
) STRICT;
INSERT INTO messages_new (id, ticket_id, author, visibility, body, ref, created_at)
    SELECT id, ticket_id, author, visibility, body, ref, created_at FROM messages;
DROP TABLE messages;
ALTER TABLE messages_new RENAME TO messages;
CREATE INDEX messages_ticket ON messages (ticket_id, id);

CREATE TABLE attachments (
    id         INTEGER PRIMARY KEY,
    ticket_id  TEXT    NOT NULL REFERENCES tickets (id),
    name       TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    ref        TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attachments_ticket ON attachments (ticket_id, id);

-- What is told once was parked before there was anybody to tell: it is no news.
UPDATE deliveries SET dismissed_at = received_at, dismissed_by = 'frontdesk'
 WHERE job_key IS NULL AND (event_type GLOB 'fine_tuning.job.*' OR event_type GLOB 'eval.run.*');
