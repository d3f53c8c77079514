// The article's endpoint (steps 3 to 5): raw body, `unwrap`, find-then-create on the delivery id,
// then `queue.add`, then 200. Departures are named in ../../README.md.
import { Queue } from "bullmq";
import express from "express";
import OpenAI from "openai";
import { database, listen, QUEUE, redis } from "./shared.mjs";

const app = express();
const openai = new OpenAI({ webhookSecret: process.env.OPENAI_WEBHOOK_SECRET });
const db = database(32);
const queue = new Queue(QUEUE, { connection: redis() });

app.post("/webhooks/openai", express.text({ type: "application/json" }), async (req, res) => {
  let event;
  try {
    event = await openai.webhooks.unwrap(req.body, req.headers);
  } catch (error) {
    console.error("Invalid OpenAI webhook signature", error);
    return res.status(400).send("Invalid signature");
  }
  try {
    await enqueueWebhookEvent({
      deliveryId: req.headers["webhook-id"],
      eventId: event.id,
      type: event.type,
      data: event.data,
    });
  } catch (error) {
    console.error("Failed to enqueue webhook event", error);
    return res.status(500).send("Internal error");
  }
  return res.status(200).send("ok");
});

async function enqueueWebhookEvent(event) {
  const existing = await db.query({
    name: "find-delivery",
    text: "SELECT delivery_id FROM webhook_events WHERE delivery_id = $1",
    values: [event.deliveryId],
  });
  if (existing.rowCount > 0) {
    return;
  }
  await db.query({
    name: "create-delivery",
    text: `INSERT INTO webhook_events (delivery_id, event_id, event_type, payload, status, received_at)
           VALUES ($1, $2, $3, $4, 'queued', $5)`,
    values: [event.deliveryId, event.eventId, event.type, event.data, new Date()],
  });
  await queue.add("openai-webhook", { deliveryId: event.deliveryId });
}

app.get("/health/ready", async (_req, res) => {
  await db.query("SELECT 1");
  await queue.waitUntilReady();
  res.send("ok");
});

listen(app, process.env.LISTEN);
