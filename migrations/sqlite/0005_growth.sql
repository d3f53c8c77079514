-- What people list and count is found along an index of just those rows, or is
-- counted as it happens: nothing takes longer because more lies behind it.

-- Nearly all deliveries are of one type; an index of the others costs those nothing.
CREATE INDEX deliveries_type ON deliveries (event_type, seq) WHERE event_type <> 'response.completed';
-- That its job has failed for good is written on a delivery, because those are few and asked for by people.
ALTER TABLE deliveries ADD COLUMN failed INTEGER;
UPDATE deliveries SET failed = 1 WHERE seq IN (
    SELECT d.seq FROM jobs j JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project
     WHERE j.state = 'failed_final' AND d.job_key = j.key
    UNION SELECT d.seq FROM jobs j JOIN deliveries d ON d.project = j.project AND d.duplicate_of = j.delivery_id
     WHERE j.state = 'failed_final' AND d.job_key = j.key AND d.duplicate_of IS NOT NULL);
CREATE INDEX deliveries_failed ON deliveries (seq) WHERE failed = 1;
CREATE INDEX deliveries_parked_resource ON deliveries (resource_id) WHERE job_key IS NULL AND resource_id IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (received_at) WHERE job_key IS NULL AND dismissed_at IS NULL;

-- With the time when it may be claimed, what waits is counted without its rows.
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs (project, forget_at, id, claimable_at) WHERE state = 'queued';
CREATE INDEX jobs_failed_number ON jobs (id) WHERE state = 'failed_final';
CREATE INDEX jobs_failed_open ON jobs (since, id) WHERE state = 'failed_final' AND outcome IS NULL;
CREATE INDEX jobs_failed_cause ON jobs (project, error_cause) WHERE state = 'failed_final' AND outcome IS NULL;

DROP INDEX reviews_ticket;
CREATE INDEX reviews_ticket ON reviews (ticket_id, seq) WHERE ticket_id IS NOT NULL;
CREATE INDEX reviews_reason ON reviews (reason, seq);
CREATE INDEX reviews_waiting ON reviews (created_at, project) WHERE state IN ('open','claimed');
CREATE INDEX reviews_unerased_project ON reviews (project, created_at) WHERE erased_at IS NULL;

CREATE INDEX alerts_open_number ON alerts (id) WHERE closed_at IS NULL;
CREATE INDEX audit_trail_actor ON audit_trail (actor, seq);
CREATE INDEX batches_again ON batches (again_of) WHERE again_of IS NOT NULL;
CREATE INDEX submissions_refused ON submissions (seq) WHERE state = 'refused';
DROP INDEX submissions_ticket;
CREATE INDEX submissions_ticket ON submissions (ticket_id, seq);
DROP INDEX jobs_ticket;
CREATE INDEX jobs_ticket ON jobs (ticket_id, id) WHERE ticket_id IS NOT NULL;

-- How drafts fared, counted by the day, and under day 0 all of them.
CREATE TABLE feedback_days (
    day            INTEGER NOT NULL,             -- days since the epoch
    workflow       TEXT    NOT NULL,
    prompt_version TEXT    NOT NULL,             -- empty: another program made it
    verdict        TEXT    NOT NULL,
    reason         TEXT    NOT NULL,             -- empty: none was given
    count          INTEGER NOT NULL,
    distance       REAL    NOT NULL,             -- added up
    PRIMARY KEY (day, workflow, prompt_version, verdict, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO feedback_days (day, workflow, prompt_version, verdict, reason, count, distance)
    SELECT at / 86400000, workflow, coalesce(prompt_version, ''), verdict, coalesce(reason, ''), count(*), coalesce(sum(distance), 0.0)
    FROM feedback GROUP BY 1, 2, 3, 4, 5;
INSERT INTO feedback_days (day, workflow, prompt_version, verdict, reason, count, distance)
    SELECT 0, workflow, prompt_version, verdict, reason, CAST(sum(count) AS BIGINT), sum(distance)
    FROM feedback_days GROUP BY workflow, prompt_version, verdict, reason;

-- Batches, by state.
INSERT INTO tallies (name, shard, count) SELECT 'batches/' || state, 0, count(*) FROM batches GROUP BY state;

-- Refused requests, by cause since the beginning.
INSERT INTO tallies (name, shard, count) SELECT 'refused/' || code, 0, sum(count) FROM refusals GROUP BY code;

-- Old content that was still needed when its turn came. All of it is walked once
-- more, because nobody wrote down what was left behind before.
CREATE TABLE erase_later (
    kind TEXT    NOT NULL CHECK (kind IN ('bodies','results','effects')),
    key  INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
DELETE FROM marks WHERE name IN ('erased/bodies','erased/bodies/again','erased/results','erased/results/again','erased/effects','erased/effects/again');
