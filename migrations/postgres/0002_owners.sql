-- Every ending gets an owner: reviews that people decide, work that is looked
-- after until its end, alerts that are sent, and a trail of who did what.

ALTER TABLE jobs
    ADD COLUMN kind           TEXT COLLATE "C" NOT NULL DEFAULT 'ending',
    ADD COLUMN policy_version BIGINT,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('ending','approval','start')),
    DROP CONSTRAINT jobs_outcome_check,
    ADD CONSTRAINT jobs_outcome_check CHECK (outcome IN ('applied','held','ignored','superseded','discarded')),
    DROP CONSTRAINT jobs_processed,
    ADD CONSTRAINT jobs_processed CHECK (state <> 'processed' OR (outcome IS NOT NULL AND outcome IN ('applied','held','ignored','superseded')));
CREATE INDEX jobs_approvals ON jobs (project, claimable_at) WHERE kind = 'approval' AND claimable_at IS NOT NULL;

ALTER TABLE effects
    ADD COLUMN permission TEXT COLLATE "C",
    DROP CONSTRAINT effects_state_check,
    ADD CONSTRAINT effects_state_check CHECK (state IN ('applying','applied','dropped')),
    -- Nothing goes to a customer that neither a person nor the policy allowed.
    ADD CHECK ((slot = 'reply') = (permission IS NOT NULL));
CREATE INDEX effects_ticket ON effects (ticket_id);

-- The newest work of a workflow that has been written to a ticket, or waits for
-- a person: an older result that comes later changes nothing any more.
CREATE TABLE newest (
    ticket_id   TEXT COLLATE "C" NOT NULL,
    workflow    TEXT COLLATE "C" NOT NULL,
    project     TEXT COLLATE "C" NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    made_at     BIGINT NOT NULL,
    PRIMARY KEY (ticket_id, workflow)
);

ALTER TABLE submissions
    ADD COLUMN kind        TEXT COLLATE "C" NOT NULL DEFAULT 'response' CHECK (kind IN ('response','batch')),
    ADD COLUMN made_at     BIGINT,
    ADD COLUMN check_at    BIGINT,
    ADD COLUMN deadline_at BIGINT NOT NULL,
    ADD COLUMN polls       BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN found_by    TEXT COLLATE "C" CHECK (found_by IN ('webhook','poll')),
    ADD COLUMN origin      TEXT COLLATE "C" NOT NULL DEFAULT 'person' CHECK (origin IN ('person','resubmit','follow_up')),
    ADD COLUMN retry_of    TEXT COLLATE "C",
    ALTER COLUMN prompt_version DROP NOT NULL,
    ALTER COLUMN ticket_revision DROP NOT NULL,
    DROP CONSTRAINT submissions_state_check,
    ADD CONSTRAINT submissions_state_check CHECK (state IN ('planned','starting','started','refused','unknown','ended','lost')),
    ADD CHECK (state IN ('planned','refused','lost') OR prompt_version IS NOT NULL),
    ADD CHECK (check_at IS NULL OR state IN ('starting','started','unknown'));
CREATE INDEX submissions_check ON submissions (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX submissions_again ON submissions (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX submissions_open ON submissions (deadline_at) WHERE state IN ('planned','starting','started','unknown');
CREATE INDEX submissions_lost ON submissions (project) WHERE state = 'lost';

ALTER TABLE reviews ADD COLUMN effects TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE reviews ADD COLUMN reply TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN draft_ref TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN ticket TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN seen TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN text_slot TEXT COLLATE "C" CHECK (text_slot IN ('note','reply'));
ALTER TABLE reviews ADD COLUMN prompt_version TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN policy_version BIGINT;
ALTER TABLE reviews ADD COLUMN matches TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE reviews ADD COLUMN reviewers TEXT COLLATE "C" NOT NULL DEFAULT '["agent"]';
ALTER TABLE reviews ADD COLUMN approvals_needed BIGINT NOT NULL DEFAULT 1;
ALTER TABLE reviews ADD COLUMN undo_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE reviews ADD COLUMN first_approved_by TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN text TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN decision_reason TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN undo_until BIGINT;
ALTER TABLE reviews ADD COLUMN escalated_by TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN stale_reason TEXT COLLATE "C";
ALTER TABLE reviews ADD COLUMN made_at BIGINT;
ALTER TABLE reviews ADD COLUMN erased_at BIGINT;

CREATE INDEX reviews_unerased ON reviews (created_at) WHERE erased_at IS NULL;

-- How drafts fared: no text, only what leads and prompt writers count.
CREATE TABLE feedback (
    review_id      TEXT COLLATE "C" PRIMARY KEY REFERENCES reviews (id),
    workflow       TEXT COLLATE "C" NOT NULL,
    prompt_version TEXT COLLATE "C",
    verdict        TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('kept','edited','rejected')),
    distance       DOUBLE PRECISION,
    reason         TEXT COLLATE "C",
    actor          TEXT COLLATE "C" NOT NULL,
    at             BIGINT NOT NULL,
    CHECK ((verdict = 'rejected') = (distance IS NULL))
);
CREATE INDEX feedback_at ON feedback (at);

-- Who did what; nothing here is ever changed or removed.
CREATE TABLE audit_trail (
    seq     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    detail  TEXT COLLATE "C" NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_trail_subject ON audit_trail (subject, seq);
CREATE FUNCTION audit_trail_refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_trail_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_trail
    FOR EACH STATEMENT EXECUTE FUNCTION audit_trail_refuse();

CREATE TABLE pauses (
    kind   TEXT COLLATE "C" NOT NULL CHECK (kind IN ('workflow','dependency')),
    name   TEXT COLLATE "C" NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- A notice is told once and is over at once; a condition lasts until it is over.
ALTER TABLE alerts ADD COLUMN notice BIGINT NOT NULL DEFAULT 0;

-- What was, or is to be, sent of an alert, and over which channel.
CREATE TABLE alert_sends (
    id       BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    alert_id BIGINT NOT NULL REFERENCES alerts (id),
    channel  TEXT COLLATE "C" NOT NULL,
    word     TEXT COLLATE "C" NOT NULL CHECK (word IN ('opened','recovered','notice')),
    state    TEXT COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','sent','given_up')),
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at  BIGINT NOT NULL,
    sent_at  BIGINT,
    error    TEXT COLLATE "C",
    since    BIGINT NOT NULL,
    told     BIGINT NOT NULL DEFAULT 1,
    done     BIGINT NOT NULL DEFAULT 0,
    UNIQUE (alert_id, channel, word)
);
CREATE INDEX alert_sends_waiting ON alert_sends (next_at) WHERE state = 'waiting';
CREATE INDEX alert_sends_standing ON alert_sends (channel) WHERE word = 'opened' AND done = 0;
CREATE INDEX alerts_key ON alerts (kind, subject);
CREATE INDEX alerts_notices ON alerts (opened_at) WHERE notice = 1;

-- Every policy that has ever decided, as it was loaded.
CREATE TABLE policies (
    version       BIGINT NOT NULL,
    sha256        TEXT COLLATE "C" NOT NULL,
    text          TEXT COLLATE "C" NOT NULL,
    first_used_at BIGINT NOT NULL,
    PRIMARY KEY (version, sha256)
);

-- How far a watcher has read.
CREATE TABLE marks (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
);

ALTER TABLE deliveries ADD COLUMN dismissed_at BIGINT;
ALTER TABLE deliveries ADD COLUMN dismissed_by TEXT COLLATE "C";
CREATE INDEX deliveries_undismissed ON deliveries (event_type, received_at) WHERE job_key IS NULL AND dismissed_at IS NULL;
ALTER TABLE results ADD COLUMN erased_at BIGINT;
ALTER TABLE tickets ADD COLUMN erased_at BIGINT;

ALTER TABLE messages
    ADD COLUMN permission TEXT COLLATE "C",
    -- What this program writes is seen by a customer only by leave of a person or the policy.
    ADD CHECK (ref IS NULL OR visibility = 'internal' OR permission IS NOT NULL),
    DROP CONSTRAINT messages_seen,
    ADD CONSTRAINT messages_seen CHECK (author <> 'frontdesk' OR visibility = 'internal' OR permission IS NOT NULL);

CREATE TABLE attachments (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    ticket_id  TEXT COLLATE "C" NOT NULL REFERENCES tickets (id),
    name       TEXT COLLATE "C" NOT NULL,
    body       TEXT COLLATE "C" NOT NULL,
    ref        TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE INDEX attachments_ticket ON attachments (ticket_id, id);
