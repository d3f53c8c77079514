-- What is counted as it happens, what is open just now, and how far watchers have
-- read: once all is filled. The numbers of a hundred are those that are open.
INSERT INTO batches (id, seq, project, workflow, version, state, since, origin, actor, created_at, waits_for)
    VALUES ('bat_large', {total} + 1, 'default', 'classification', 1, 'waiting', {now}, 'elsewhere', 'frontdesk', {now}, 'size');
INSERT INTO tallies (name, shard, count) SELECT outcome, 0, count(*) FROM jobs WHERE outcome IN ('applied','held','ignored','superseded') GROUP BY outcome;
INSERT INTO tallies (name, shard, count) SELECT 'failed_final', 0, count(*) FROM jobs WHERE state = 'failed_final';
INSERT INTO tallies (name, shard, count) SELECT 'found_by_webhook', 0, count(*) FROM submissions WHERE found_by = 'webhook';
INSERT INTO tallies (name, shard, count) SELECT 'batch/result/ok', 0, count(*) FROM batch_lines;
INSERT INTO tallies (name, shard, count) SELECT 'refused/' || code, 0, CAST(sum(count) AS BIGINT) FROM refusals GROUP BY code;
INSERT INTO tallies (name, shard, count) SELECT 'batches/' || state, 0, count(*) FROM batches GROUP BY state;
INSERT INTO tallies (name, shard, count) SELECT 'deliveries', 0, count(*) FROM deliveries;

INSERT INTO feedback_days (day, workflow, prompt_version, verdict, reason, count, distance)
    SELECT at / 86400000, workflow, prompt_version, verdict, coalesce(reason, ''), count(*), coalesce(sum(distance), 0.0)
    FROM feedback GROUP BY at / 86400000, workflow, prompt_version, verdict, coalesce(reason, '');
INSERT INTO feedback_days (day, workflow, prompt_version, verdict, reason, count, distance)
    SELECT 0, workflow, prompt_version, verdict, reason, CAST(sum(count) AS BIGINT), sum(distance)
    FROM feedback_days GROUP BY workflow, prompt_version, verdict, reason;

INSERT INTO marks (name, value) VALUES ('parked', {total}), ('erased/bodies', {total} - {kept}), ('erased/results', {total} - {kept}),
    ('erased/effects', {total} - {kept});

INSERT INTO alerts (kind, subject, detail, opened_at, last_at) VALUES
    ('received', 'video.completed', 'deliveries without a job', {now}, {now}), ('resource_failed', 'default', 'OpenAI says server_error', {now}, {now});

INSERT INTO submissions (seq, id, project, ticket_id, workflow, prompt_version, ticket_revision, state, resource_id, created_at, made_at, started_at,
                         check_at, deadline_at, actor)
{hundred} SELECT {total} + i, 'sub_open_' || i, 'default', 'T-' || i, 'summary', '1', 1, 'started', 'resp_open_' || i, {now}, {now}, {now},
    {now} + 864000000, {now} + 864000000, 'api' FROM n;

INSERT INTO batch_parts (id, batch_id, project, number, lines, bytes, resource_id, status, read_at)
    VALUES ('batch_large', 'bat_large', 'default', 1, 10000, 40000000, 'batch_large', 'completed', {now});
INSERT INTO batch_lines (batch_id, number, part, custom_id, ticket_id, found, result)
{hundred} SELECT 'bat_large', (i - 1) * 100 + l.j, 1, 'C-' || ((i - 1) * 100 + l.j), 'C-' || ((i - 1) * 100 + l.j), 'output:' || ((i - 1) * 100 + l.j), 'ok'
  FROM n CROSS JOIN (SELECT i AS j FROM n) AS l;
INSERT INTO batch_counts (batch_id, name, count) VALUES ('bat_large', 'lines', 10000), ('bat_large', 'result/ok', 10000);
