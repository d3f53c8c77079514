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

const [host, port] = process.env.LISTEN.split(":");
const server = createServer(async (req, res) => {
  const id = req.url.startsWith("/tickets/") ? req.url.slice("/tickets/".length) : null;
  const body = JSON.stringify(id ? await ticket(id) : await processed());
  res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  res.end(body);
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), host);
