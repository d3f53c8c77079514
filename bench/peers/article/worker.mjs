// The article's background worker (step 7): load the event, mark it `processing`, retrieve the
// response with the SDK, write the ticket, mark it `processed`. A batch as in "Handling Batch API
// webhook events". Departures are named in ../../README.md.
import { Worker } from "bullmq";
import OpenAI from "openai";
import { database, QUEUE, redis } from "./shared.mjs";

const PRIORITIES = ["low", "normal", "high", "urgent"];

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
  if (event.event_type === "batch.completed") {
    const batchId = event.payload.id;
    const batch = await openai.batches.retrieve(batchId);
    if (!batch.output_file_id) {
      throw new Error(`Batch completed without output file: ${batchId}`);
    }
    const outputFile = await openai.files.content(batch.output_file_id);
    await applyBatchResultsToTicketQueue(outputFile);
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

/** Named but not shown by the article. All loops draw from the same lines. */
async function applyBatchResultsToTicketQueue(outputFile) {
  const lines = (await outputFile.text()).split("\n").values();
  const applyLines = async () => {
    for (const line of lines) {
      const result = classification(line);
      if (result) {
        await classifySupportTicket(result);
      }
    }
  };
  await Promise.all(Array.from({ length: 32 }, applyLines));
}

/** "Validate the output before updating": nothing for a line that cannot be used. */
function classification(line) {
  try {
    const { custom_id: ticketId, response } = JSON.parse(line);
    if (response.status_code !== 200 || response.body.status !== "completed") {
      return null;
    }
    const message = response.body.output.find((item) => item.type === "message");
    const { intent, priority, confidence } = JSON.parse(message.content[0].text);
    const valid = PRIORITIES.includes(priority) && confidence >= 0.8;
    return valid ? { ticketId, intent, priority } : null;
  } catch {
    return null;
  }
}

async function classifySupportTicket({ ticketId, intent, priority }) {
  await db.query({
    name: "classify-ticket",
    text: "UPDATE tickets SET intent = $2, priority = $3, updated_at = now() WHERE id = $1",
    values: [ticketId, intent, priority],
  });
}

const worker = new Worker(QUEUE, (job) => processOpenAiWebhookJob(job.data), {
  connection: redis(),
  concurrency: 64,
});
worker.on("failed", (job, error) => console.error("Job failed", job?.id, error));
