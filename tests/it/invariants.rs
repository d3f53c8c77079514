//! What must be true of the database after any history. Each rule is a query
//! for rows that break it.

use crate::support::database::Sql;

const RULES: [(&str, &str); 22] = [
    (
        "an effect is still 'applying' though its job is processed",
        "SELECT e.ref FROM effects e JOIN jobs j ON j.id = e.job_id WHERE e.state = 'applying' AND j.state = 'processed'",
    ),
    (
        "an applied effect is not on the ticket exactly once, in the place its slot names",
        "SELECT ref FROM effects e WHERE state = 'applied' AND undone_at IS NULL
           -- What lies in another helpdesk is looked at there.
           AND EXISTS (SELECT 1 FROM tickets t WHERE t.id = e.ticket_id) AND 1 <> (
           SELECT count(*) FROM (
             SELECT ref, ticket_id, 'note' AS slot, 'message/' || id AS at FROM messages WHERE ref IS NOT NULL
             UNION ALL SELECT ref, ticket_id, 'reply', 'message/' || id FROM messages WHERE ref IS NOT NULL AND permission IS NOT NULL
             UNION ALL SELECT ref, ticket_id, 'draft', 'draft/' || id FROM drafts
             UNION ALL SELECT ref, ticket_id, 'attachment', 'attachment/' || id FROM attachments
             UNION ALL SELECT ref, ticket_id, 'route', 'change/' || ref FROM desk_changes
             UNION ALL SELECT ref, ticket_id, 'fields', 'change/' || ref FROM desk_changes
             UNION ALL SELECT e.ref, ticket_id, 'start', id FROM submissions WHERE id = e.external_id) w
           WHERE w.ref = e.ref AND w.ticket_id = e.ticket_id AND w.slot = e.slot AND w.at = e.external_id)",
    ),
    (
        "something of ours is on a ticket without an effect",
        "SELECT ref FROM (SELECT ref FROM messages WHERE author = 'frontdesk' OR ref IS NOT NULL UNION ALL SELECT ref FROM drafts
           UNION ALL SELECT ref FROM attachments UNION ALL SELECT ref FROM desk_changes) AS ours WHERE ref IS NULL OR ref NOT IN (SELECT ref FROM effects)",
    ),
    (
        "a note is on a ticket twice",
        "SELECT ticket_id FROM messages WHERE author = 'frontdesk' AND body <> '' GROUP BY ticket_id, body HAVING count(*) > 1",
    ),
    (
        "a draft is on a ticket twice",
        "SELECT ticket_id FROM drafts WHERE body <> '' GROUP BY ticket_id, body HAVING count(*) > 1",
    ),
    (
        "a held job has not exactly one review",
        "SELECT key FROM jobs j WHERE outcome = 'held' AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id) AND 1 <> (
           SELECT count(*) FROM reviews r WHERE r.project = j.project AND r.resource_id = j.resource_id)",
    ),
    (
        "a job failed for good, and nobody was told",
        "SELECT key FROM jobs j WHERE state = 'failed_final' AND outcome IS NULL AND error_cause <> 'resource_cancelled'
           AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = j.error_cause AND a.subject = j.project)",
    ),
    (
        "an applied job has nothing applied on its resource",
        "SELECT key FROM jobs j WHERE outcome = 'applied' AND kind IN ('ending','line')
           AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id) AND NOT EXISTS (
           SELECT 1 FROM effects e WHERE e.project = j.project AND e.resource_id = j.resource_id AND e.state = 'applied')",
    ),
    (
        "a job has ended and its submission has not",
        "SELECT s.id FROM submissions s JOIN jobs j ON j.resource_id = s.resource_id AND j.project = s.project
          WHERE j.state IN ('processed','failed_final') AND j.outcome IS DISTINCT FROM 'discarded' AND s.state <> 'ended'",
    ),
    (
        "started work that nobody looks after",
        "SELECT id FROM submissions WHERE state IN ('starting','started','unknown') AND check_at IS NULL",
    ),
    (
        "a customer saw what neither a person nor the policy allowed",
        "SELECT ref FROM messages WHERE ref IS NOT NULL AND visibility = 'public' AND permission IS NULL
         UNION ALL SELECT m.ref FROM messages m WHERE m.permission LIKE 'person/%' AND NOT EXISTS (
           SELECT 1 FROM reviews r WHERE m.permission = 'person/' || r.id || '/' || r.decided_by AND r.state = 'approved')",
    ),
    (
        "an older result was written after a newer one of its workflow and ticket",
        "SELECT older.ref FROM effects older JOIN submissions so ON so.resource_id = older.resource_id
           JOIN submissions sn ON sn.ticket_id = so.ticket_id AND sn.workflow = so.workflow AND sn.made_at > so.made_at
           JOIN effects newer ON newer.resource_id = sn.resource_id AND newer.slot = older.slot
          WHERE older.state = 'applied' AND newer.state = 'applied' AND older.id > newer.id AND older.slot <> 'reply'",
    ),
    (
        "a batch counts other results or fates than its lines have",
        "WITH has AS (
           SELECT batch_id, 'result/' || result AS name, count(*) AS n FROM batch_lines GROUP BY 1, 2
           UNION ALL SELECT batch_id, 'fate/' || fate, count(*) FROM batch_lines WHERE fate IS NOT NULL GROUP BY 1, 2
           UNION ALL SELECT batch_id, 'lines', count(*) FROM batch_lines WHERE result NOT IN ('unknown','duplicate','unreadable') GROUP BY 1)
         SELECT batch_id || ' ' || name || ' ' || count FROM batch_counts c
          WHERE (name LIKE 'result/%' OR name LIKE 'fate/%' OR name = 'lines')
            AND count <> coalesce((SELECT n FROM has WHERE has.batch_id = c.batch_id AND has.name = c.name), 0)
         UNION ALL SELECT batch_id || ' ' || name || ' is not counted' FROM has h
          WHERE NOT EXISTS (SELECT 1 FROM batch_counts c WHERE c.batch_id = h.batch_id AND c.name = h.name)",
    ),
    (
        "a batch has another number of jobs in flight than lines with a job",
        "SELECT id FROM batches b WHERE in_flight <> (SELECT count(*) FROM batch_lines l WHERE l.batch_id = b.id AND l.fate = 'queued')",
    ),
    (
        "a line has a job that ended otherwise than the line says",
        "SELECT j.key || ' ' || coalesce(l.fate, 'no fate') FROM batch_lines l JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
           JOIN jobs j ON j.key = 'line/' || p.resource_id || '/' || l.custom_id AND j.project = p.project
          WHERE l.result IN ('ok','held') AND l.fate IS DISTINCT FROM CASE
            WHEN l.fate IN ('undone','kept') THEN l.fate
            WHEN j.state IN ('queued','processing','failed_retryable') THEN CASE l.fate WHEN 'failed' THEN 'failed' ELSE 'queued' END
            WHEN j.state = 'failed_final' THEN 'failed'
            WHEN j.outcome IN ('ignored','superseded') THEN 'skipped' ELSE j.outcome END",
    ),
    (
        "a batch has been applied and has lines without a fate",
        "SELECT b.id || ' ' || l.number FROM batches b JOIN batch_lines l ON l.batch_id = b.id
          WHERE b.state = 'applied' AND l.result IN ('ok','held') AND (l.fate IS NULL OR l.fate = 'queued')",
    ),
    (
        "a batch is being applied and nothing moves it",
        "SELECT id FROM batches WHERE state = 'applying' AND paused_at IS NULL AND in_flight = 0",
    ),
    (
        "other endings are counted than there are",
        "WITH words AS (SELECT 'applied' AS word UNION ALL SELECT 'held' UNION ALL SELECT 'ignored' UNION ALL SELECT 'superseded')
         SELECT word FROM words WHERE coalesce((SELECT sum(count) FROM tallies WHERE name = word), 0)
            <> (SELECT count(*) FROM jobs WHERE state = 'processed' AND outcome = word)",
    ),
    (
        "other batches are counted than there are",
        "WITH has AS (SELECT state FROM batches GROUP BY state UNION SELECT substr(name, 9) FROM tallies WHERE name LIKE 'batches/%')
         SELECT state FROM has WHERE coalesce((SELECT sum(count) FROM tallies WHERE name = 'batches/' || state), 0)
            <> (SELECT count(*) FROM batches b WHERE b.state = has.state)",
    ),
    (
        "a delivery says of its job that it has failed, or does not say so",
        "SELECT d.delivery_id FROM deliveries d JOIN jobs j ON j.key = d.job_key AND j.project = d.project
          WHERE coalesce(d.failed, 0) <> CASE j.state WHEN 'failed_final' THEN 1 ELSE 0 END",
    ),
    (
        "other drafts are counted than people have dealt with",
        "WITH each AS (
           SELECT at / 86400000 AS day, workflow, coalesce(prompt_version, '') AS version, verdict, coalesce(reason, '') AS reason FROM feedback
           UNION ALL SELECT 0, workflow, coalesce(prompt_version, ''), verdict, coalesce(reason, '') FROM feedback),
         has AS (SELECT day, workflow, version, verdict, reason, count(*) AS n FROM each GROUP BY 1, 2, 3, 4, 5)
         SELECT day || ' ' || verdict || ' ' || count FROM feedback_days f WHERE count <> coalesce((SELECT n FROM has
           WHERE has.day = f.day AND has.workflow = f.workflow AND version = prompt_version AND has.verdict = f.verdict AND has.reason = f.reason), 0)
         UNION ALL SELECT day || ' ' || verdict || ' is not counted' FROM has WHERE NOT EXISTS (SELECT 1 FROM feedback_days f
           WHERE has.day = f.day AND has.workflow = f.workflow AND version = prompt_version AND has.verdict = f.verdict AND has.reason = f.reason)",
    ),
    (
        "a queued delivery has no job",
        "SELECT delivery_id FROM deliveries d WHERE job_key IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = d.job_key AND j.project = d.project)",
    ),
];

/// Asserts what must be true of the rows at any time.
pub fn of_rows(sql: Sql<'_>) {
    for (rule, query) in RULES {
        assert_eq!(rows(sql, query), Vec::<String>::new(), "{rule}");
    }
    // A file numbers them without a gap instead.
    if sql.location.server().is_some() {
        let counted =
            sql.number("SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM tallies WHERE name = 'deliveries'");
        assert_eq!(
            counted,
            sql.number("SELECT count(*) FROM deliveries"),
            "other deliveries are counted than there are"
        );
    }
}

/// Asserts all of it. `left_over` says why jobs may be there that have not ended.
pub fn hold(sql: Sql<'_>, left_over: Option<&str>) {
    of_rows(sql);
    let moving = rows(sql, "SELECT key || ' is ' || state FROM jobs WHERE state NOT IN ('processed','failed_final')");
    match left_over {
        None => assert_eq!(moving, Vec::<String>::new(), "jobs are left over"),
        Some(why) => assert!(!moving.is_empty(), "no job is left over, though: {why}"),
    }
}

fn rows(sql: Sql<'_>, query: &str) -> Vec<String> {
    sql.rows(query, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{query}: {error:?}"))
}
