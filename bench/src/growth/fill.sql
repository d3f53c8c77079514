-- Rows as the product leaves them once it has dealt with deliveries, numbered from
-- {from} + 1 to {to}. Of each hundred: 86 applied, 5 held, 2 ignored, 1 superseded,
-- 1 failed, 1 parked, 1 a second delivery of an event; half of one a batch of five
-- lines in place of a response. Half of the rest were started here. A ticket has ten.
INSERT INTO tickets (id, seq, subject, status, queue, created_at, updated_at)
{numbers} SELECT 'T-' || (i / 10 + 1), i / 10 + 1, 'A parcel that has not come', CASE WHEN {is_new} THEN 'open' ELSE 'closed' END,
    CASE WHEN i / 10 % 2 = 0 THEN 'support' ELSE 'billing' END, {time}, {time} + 3000
  FROM n WHERE i % 10 = 0 OR i = 1;

INSERT INTO messages (id, ticket_id, author, visibility, body, created_at)
{numbers} SELECT 2 * i + 1, 'T-' || (i / 10 + 1), 'customer', 'public', 'Where is my order? It should have come on Monday.', {time}
  FROM n WHERE i % 10 = 0 OR i = 1;

INSERT INTO deliveries (seq, project, delivery_id, event_id, event_type, resource_id, job_key, duplicate_of, body, body_sha256, signed_at,
                        secret_hint, received_at, note, failed, dismissed_at, dismissed_by)
{numbers} SELECT i, 'default', 'wh_' || {tag},
    'evt_' || CASE WHEN i % 100 = 3 THEN {tag_before} ELSE {tag} END,
    CASE WHEN i % 100 = 0 THEN 'video.completed' WHEN i % 100 = 4 THEN 'response.failed' WHEN i % 200 = 13 THEN 'batch.completed'
         ELSE 'response.completed' END,
    CASE WHEN i % 100 = 0 THEN 'video_' WHEN i % 200 = 13 THEN 'batch_' ELSE 'resp_' END || CASE WHEN i % 100 = 3 THEN {tag_before} ELSE {tag} END,
    CASE WHEN i % 100 = 0 THEN NULL WHEN i % 100 = 3 THEN 'event/evt_' || {tag_before} ELSE 'event/evt_' || {tag} END,
    CASE WHEN i % 100 = 3 THEN 'wh_' || {tag_before} END,
    CASE WHEN NOT {is_old} THEN {bytes}'{"id":"evt_0000000000000000","object":"event","created_at":1780000000,"type":"response.completed","data":{"id":"resp_00000000000000000000"}}'{as_bytes} END,
    {hash}, {time}, 'whsec_…6f3a', {time},
    CASE WHEN i % 100 = 0 THEN 'nobody handles this type' END, CASE WHEN i % 100 = 4 THEN 1 END,
    CASE WHEN i % 100 = 0 AND NOT {is_new} THEN {time} + 60000 END,
    CASE WHEN i % 100 = 0 AND NOT {is_new} THEN 'lena' END
  FROM n;

INSERT INTO jobs (id, project, key, kind, event_id, event_type, resource_id, delivery_id, state, since, queued_at, forget_at, claims, attempts,
                  calls, started_at, outcome, reason, error_cause, error_detail, ticket_id, workflow, submission_id, policy_version)
{numbers} SELECT i, 'default', 'event/evt_' || {tag}, 'ending', 'evt_' || {tag},
    CASE WHEN i % 100 = 4 THEN 'response.failed' WHEN i % 200 = 13 THEN 'batch.completed' ELSE 'response.completed' END,
    CASE WHEN i % 200 = 13 THEN 'batch_' ELSE 'resp_' END || {tag}, 'wh_' || {tag},
    CASE WHEN i % 100 = 4 THEN 'failed_final' ELSE 'processed' END, {time} + 2000, {time}, {time} + 2592000000, 1, 1, 1, {time} + 500,
    CASE WHEN i % 100 = 4 AND {is_new} THEN NULL WHEN i % 100 = 4 THEN 'discarded' WHEN i % 100 IN (5, 6) THEN 'ignored' WHEN i % 100 = 7 THEN 'superseded'
         WHEN i % 100 BETWEEN 8 AND 12 OR i % 200 = 13 THEN 'held' ELSE 'applied' END,
    CASE WHEN i % 100 = 4 AND {is_new} THEN NULL WHEN i % 100 = 4 THEN 'lena: it was tried again by hand' WHEN i % 100 IN (5, 6) THEN 'nothing to do'
         WHEN i % 100 = 7 THEN 'newer work of the same workflow' WHEN i % 200 = 13 THEN 'bat_' || {tag}
         WHEN i % 100 IN (10, 11) THEN 'customer_facing' WHEN i % 100 BETWEEN 8 AND 12 THEN 'sensitive' END,
    CASE WHEN i % 100 = 4 THEN 'resource_failed' END, CASE WHEN i % 100 = 4 THEN 'OpenAI says server_error' END,
    CASE WHEN i % 200 <> 13 THEN 'T-' || (i / 10 + 1) END,
    CASE WHEN i % 200 = 13 THEN NULL WHEN i % 100 BETWEEN 8 AND 12 THEN 'draft_reply' ELSE 'summary' END,
    CASE WHEN i % 2 = 0 AND i % 200 <> 13 THEN 'sub_' || {tag} END, 1
  FROM n WHERE i % 100 NOT IN (0, 3);

-- The numbers of what has no job are those of approvals.
INSERT INTO jobs (id, project, key, kind, event_type, resource_id, state, since, queued_at, forget_at, claims, attempts, started_at, outcome,
                  ticket_id, workflow)
{numbers} SELECT CASE WHEN i % 100 = 8 THEN i - 5 ELSE i + 89 END, 'default', 'review/rev_' || {tag}, 'approval', 'review.approved', 'resp_' || {tag}, 'processed', {time} + 90000, {time} + 80000,
    {time} + 2592000000, 1, 1, {time} + 88000, 'applied', 'T-' || (i / 10 + 1), 'draft_reply'
  FROM n WHERE i % 100 IN (8, 11);

INSERT INTO submissions (seq, id, project, ticket_id, workflow, prompt_version, ticket_revision, state, resource_id, created_at, made_at, started_at,
                         ended_at, deadline_at, found_by, actor)
{numbers} SELECT i, 'sub_' || {tag}, 'default', 'T-' || (i / 10 + 1), CASE WHEN i % 100 BETWEEN 8 AND 12 THEN 'draft_reply' ELSE 'summary' END, '1', 1, 'ended',
    'resp_' || {tag}, {time} - 20000, {time} - 20000, {time} - 19000, {time} + 2000, {time} + 3600000, 'webhook', 'api'
  FROM n WHERE i % 2 = 0 AND i % 100 NOT IN (0, 3) AND i % 200 <> 13;

INSERT INTO results (seq, project, resource_id, raw, fetched_at, erased_at)
{numbers} SELECT i, 'default', 'resp_' || {tag},
    CASE WHEN NOT {is_old} THEN '{"id":"resp_0","object":"response","status":"completed","model":"a-model","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"The customer asks where the parcel is."}]}],"usage":{"input_tokens":421,"output_tokens":38,"total_tokens":459}}' END,
    {time} + 1500, CASE WHEN {is_old} THEN {time} + 2592000000 END
  FROM n WHERE i % 100 NOT IN (0, 3, 4) AND i % 200 <> 13;

INSERT INTO effects (id, project, resource_id, ticket_id, slot, ref, payload, state, job_id, external_id, planned_at, applied_at)
{numbers} SELECT i, 'default', 'resp_' || {tag}, 'T-' || (i / 10 + 1), 'note', 'fd_' || (i * 2654435761 % 4294967296) || 'x' || i,
    CASE WHEN NOT {is_old} THEN '{"do":"note","text":"The customer asks where the parcel is."}' END,
    'applied', CASE WHEN i % 100 = 8 THEN i - 5 WHEN i % 100 = 11 THEN i + 89 ELSE i END, 'message/' || (2 * i), {time} + 1800, {time} + 2000
  FROM n WHERE (i % 100 IN (1, 2, 8, 11) OR i % 100 >= 13) AND i % 200 <> 13;

INSERT INTO messages (id, ticket_id, author, visibility, body, ref, created_at)
{numbers} SELECT 2 * i, 'T-' || (i / 10 + 1), 'frontdesk', 'internal', 'The customer asks where the parcel is.',
    'fd_' || (i * 2654435761 % 4294967296) || 'x' || i, {time} + 2000
  FROM n WHERE (i % 100 IN (1, 2, 8, 11) OR i % 100 >= 13) AND i % 200 <> 13;

INSERT INTO newest (ticket_id, workflow, project, resource_id, made_at)
{numbers} SELECT 'T-' || (i / 10 + 1), 'summary', 'default', 'resp_' || {tag}, {time} - 20000 FROM n WHERE i % 10 = 9;

INSERT INTO reviews (id, seq, version, state, reason, detail, topics, project, ticket_id, resource_id, workflow, job_id, proposed, output, created_at,
                     decided_by, decided_at, decision_reason, stale_reason, text_slot, prompt_version, policy_version, made_at, erased_at)
{numbers} SELECT 'rev_' || {tag}, i, CASE WHEN i % 100 = 12 AND {is_new} THEN 1 ELSE 2 END,
    CASE WHEN i % 100 IN (8, 11) THEN 'approved' WHEN i % 100 = 9 THEN 'rejected' WHEN i % 100 = 10 THEN 'stale' WHEN {is_new} THEN 'open' ELSE 'expired' END,
    CASE WHEN i % 100 IN (10, 11) THEN 'customer_facing' ELSE 'sensitive' END, 'a person decides', '["refund"]', 'default', 'T-' || (i / 10 + 1),
    'resp_' || {tag}, 'draft_reply', i,
    CASE WHEN {is_new} THEN '[{"slot":"note","text":"We are sorry; the parcel is on its way."}]' ELSE '[]' END,
    CASE WHEN {is_new} THEN 'We are sorry; the parcel is on its way.' END, {time} + 2000,
    CASE WHEN i % 100 IN (8, 9, 11) THEN CASE WHEN i / 100 % 2 = 0 THEN 'lena' ELSE 'omar' END END,
    CASE WHEN i % 100 IN (8, 9, 11) THEN {time} + 80000 END,
    CASE WHEN i % 100 = 9 THEN 'tone' END, CASE WHEN i % 100 = 10 THEN 'the customer wrote again' END, 'note', '1', 1, {time} - 20000,
    CASE WHEN NOT {is_new} THEN {time} + 90000 END
  FROM n WHERE i % 100 BETWEEN 8 AND 12;

INSERT INTO feedback (review_id, workflow, prompt_version, verdict, distance, reason, actor, at)
{numbers} SELECT 'rev_' || {tag}, 'draft_reply', '1', CASE WHEN i % 100 = 9 THEN 'rejected' ELSE 'kept' END, CASE WHEN i % 100 = 9 THEN NULL ELSE 0.0 END,
    CASE WHEN i % 100 = 9 THEN 'tone' END, CASE WHEN i / 100 % 2 = 0 THEN 'lena' ELSE 'omar' END, {time} + 80000
  FROM n WHERE i % 100 IN (8, 9, 11);

INSERT INTO audit_trail (at, actor, action, subject, detail)
{numbers} SELECT {time} + 80000, CASE WHEN i / 100 % 2 = 0 THEN 'lena' ELSE 'omar' END,
    CASE WHEN i % 100 = 9 THEN 'review.reject' ELSE 'review.approve' END, 'rev_' || {tag}, '{"version":2}'
  FROM n WHERE i % 100 IN (8, 9, 11);

INSERT INTO alerts (kind, subject, detail, opened_at, last_at, times, closed_at, notice)
{numbers} SELECT CASE WHEN i % 5000 = 1017 THEN 'review_expired' ELSE 'overdue' END, CASE WHEN i % 5000 = 1017 THEN 'default' ELSE 'queue' END,
    'something that was over soon', {time}, {time}, 1, {time} + 60000, CASE WHEN i % 5000 = 1017 THEN 1 ELSE 0 END
  FROM n WHERE i % 1000 = 17;

INSERT INTO refusals (day, project, code, count, first_at, last_at, explanation)
{numbers} SELECT {time} / 86400000, 'default', 'signature', 3, {time}, {time}, 'no secret fits the signature' FROM n WHERE i % 100 = 1
ON CONFLICT (day, project, code) DO NOTHING;

INSERT INTO batches (id, seq, project, workflow, version, state, since, origin, actor, created_at, waits_for, decided_by, decided_at)
{numbers} SELECT 'bat_' || {tag}, i, 'default', 'classification', 2, 'rejected', {time} + 80000, 'elsewhere', 'frontdesk', {time}, 'size', 'lena', {time} + 80000
  FROM n WHERE i % 200 = 13;

INSERT INTO batch_parts (id, batch_id, project, number, lines, bytes, resource_id, status, read_at)
{numbers} SELECT 'batch_' || {tag}, 'bat_' || {tag}, 'default', 1, 5, 20000, 'batch_' || {tag}, 'completed', {time} + 60000 FROM n WHERE i % 200 = 13;

INSERT INTO batch_lines (batch_id, number, part, custom_id, ticket_id, found, result)
{numbers} SELECT 'bat_' || {tag}, l, 1, 'T-' || (i / 10 + 1) || ':' || l, 'T-' || (i / 10 + 1), 'output:' || l, 'ok'
  FROM n CROSS JOIN (SELECT 1 AS l UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) AS lines WHERE i % 200 = 13;

INSERT INTO batch_counts (batch_id, name, count)
{numbers} SELECT 'bat_' || {tag}, name, 5 FROM n CROSS JOIN (SELECT 'lines' AS name UNION ALL SELECT 'result/ok') AS names WHERE i % 200 = 13;
