// The article's background worker (step 7): load the event, mark it `processing`, retrieve the
// response with the SDK, write the ticket, mark it `processed`.
import { Worker } from "bullmq";
import OpenAI from "openai";
import { database, QUEUE, redis } from "./shared.mjs";

const openai = new OpenAI();
const db = database(32);

async function processOpenAiWebhookJob({ deliveryId }) {
  const found = await db.query({
    name: "load-delivery",
    text: "SELECT event_type, payload FROM webhook_events WHERE delivery_id = $1",
    values: [deliveryId],
  });
  const event = found.rows[0];
  if (!event) {
    throw new Error(`Webhook event not found: ${deliveryId}`);
  }
  await setStatus(deliveryId, "processing");
  if (event.event_type === "response.completed") {
    const response = await openai.responses.retrieve(event.payload.id);
    await updateSupportTicket({
      ticketId: response.metadata.ticket_id,
      responseId: response.id,
      output: response.output_text,
    });
  }
  await setStatus(deliveryId, "processed");
}

async function setStatus(deliveryId, status) {
  await db.query({
    name: "set-status",
    text: "UPDATE webhook_events SET status = $2 WHERE delivery_id = $1",
    values: [deliveryId, status],
  });
}

async function updateSupportTicket({ ticketId, responseId, output }) {
  await db.query({
    name: "write-note",
    text: `INSERT INTO ticket_messages (ticket_id, author, body, response_id)
           VALUES ($1, 'note', $2, $3)`,
    values: [ticketId, output, responseId],
  });
}

const worker = new Worker(QUEUE, (job) => processOpenAiWebhookJob(job.data), {
  connection: redis(),
  concurrency: 64,
});
worker.on("failed", (job, error) => console.error("Job failed", job?.id, error));
