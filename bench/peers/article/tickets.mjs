// The ticket system's reading side, in a process of its own so that reading never takes time from
// the receiver. Plain `node:http`: the least that can answer.
import { createServer } from "node:http";
import { database } from "./shared.mjs";

const db = database(8);

async function ticket(id) {
  const found = await db.query({
    name: "read-messages",
    text: "SELECT author, body FROM ticket_messages WHERE ticket_id = $1 ORDER BY id",
    values: [id],
  });
  return { id, messages: found.rows };
}

async function processed() {
  const found = await db.query(
    "SELECT count(*)::int AS processed FROM webhook_events WHERE status = 'processed'",
  );
  return found.rows[0];
}

/** Tickets are counted only once they have their classification, as counting reads the table. */
async function batch(id) {
  const event = await db.query({
    name: "read-batch",
    text: `SELECT status FROM webhook_events
           WHERE event_type = 'batch.completed' AND payload ->> 'id' = $1`,
    values: [id],
  });
  const status = event.rows[0]?.status ?? null;
  const count = "SELECT count(*)::int AS tickets FROM tickets WHERE intent IS NOT NULL";
  const tickets = status === "processed" ? (await db.query(count)).rows[0].tickets : 0;
  return { status, tickets };
}

async function answer(url) {
  const [, kind, id] = url.split("/");
  switch (kind) {
    case "tickets":
      return ticket(id);
    case "batches":
      return batch(id);
    default:
      return processed();
  }
}

const [host, port] = process.env.LISTEN.split(":");
const server = createServer(async (req, res) => {
  const body = JSON.stringify(await answer(req.url));
  res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  res.end(body);
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), host);
