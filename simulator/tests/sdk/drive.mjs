// Drives the simulator with OpenAI's official Node SDK, as a program of a customer would.
// Reads OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET; exits 0 if all went as it should.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// The SDK lies in target/sdk/node, where this file does not.
const installed = createRequire(path.join(process.env.SDK_NODE, "package.json"));
const { default: OpenAI, toFile } = await import(pathToFileURL(installed.resolve("openai")).href);

const control = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "/_simulator/settings");
const ticket = "<ticket>Subject: Late parcel\ncustomer: My parcel is late. I want a refund.</ticket>";
const schema = {
  type: "object",
  additionalProperties: false,
  required: ["intent", "priority", "confidence"],
  properties: {
    intent: { type: "string" },
    priority: { type: "string", enum: ["low", "normal", "high", "urgent"] },
    confidence: { type: "number", minimum: 0, maximum: 1 },
  },
};
const text = { format: { type: "json_schema", name: "kind", strict: true, schema } };

const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const arrived = [];
const waiting = [];

const server = createServer((request, answer) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const caught = { body: Buffer.concat(parts).toString(), headers: request.headers };
    const next = waiting.shift();
    next ? next(caught) : arrived.push(caught);
    answer.writeHead(204).end();
  });
});

async function settings(change) {
  const answer = await fetch(control, { method: "POST", body: JSON.stringify(change) });
  assert.equal(answer.status, 200);
}

function next() {
  if (arrived.length > 0) return Promise.resolve(arrived.shift());
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no webhook came")), 30_000);
    waiting.push((caught) => {
      clearTimeout(late);
      resolve(caught);
    });
  });
}

async function unwrap({ body, headers }) {
  return await client.webhooks.unwrap(body, headers);
}

async function run(name = "none", more = {}) {
  const metadata = { case: name };
  const request = { model: "gpt-5.6", background: true, store: true, input: ticket, metadata, ...more };
  const asked = await client.responses.create(request);
  assert.equal(asked.status, "queued");
  const event = await unwrap(await next());
  assert.equal(event.data.id, asked.id);
  const response = await client.responses.retrieve(asked.id);
  assert.equal(event.type, `response.${response.status}`);
  return response;
}

async function responses() {
  const response = await run();
  assert.equal(response.status, "completed");
  assert.match(response.output_text, /My parcel is late\./);
  const answer = JSON.parse((await run("none", { text })).output_text);
  assert.equal(answer.intent, "refund");
  const refusal = (await run("refusal")).output.at(-1).content[0];
  assert.equal(refusal.type, "refusal");
  const incomplete = await run("incomplete");
  assert.equal(incomplete.incomplete_details.reason, "max_output_tokens");
  const failed = await run("failed");
  assert.equal(failed.error.code, "server_error");
}

async function webhooks() {
  const refused = OpenAI.InvalidWebhookSignatureError;
  await client.responses.create({ model: "gpt-5.6", background: true, input: ticket });
  const { body, headers } = await next();
  assert.equal((await unwrap({ body, headers })).type, "response.completed");
  const changed = body.replace("response.completed", "response.failed");
  await assert.rejects(unwrap({ body: changed, headers }), refused);
  await assert.rejects(unwrap({ body, headers: { ...headers, "webhook-id": "wh_other" } }), refused);
  const metadata = { case: "forged" };
  await client.responses.create({ model: "gpt-5.6", background: true, input: ticket, metadata });
  const outcomes = [];
  for (let count = 0; count < 2; count += 1) {
    const outcome = unwrap(await next()).then((event) => event.type);
    outcomes.push(await outcome.catch((error) => (error instanceof refused ? "refused" : error)));
  }
  assert.deepEqual(outcomes.sort(), ["refused", "response.completed"]);
}

async function batches() {
  const ids = [0, 1, 2, 3, 4].map((number) => `T-${number}`);
  const body = { model: "gpt-5.6", input: ticket, text };
  const line = (id) => JSON.stringify({ custom_id: id, method: "POST", url: "/v1/responses", body });
  const content = Buffer.from(ids.map(line).join("\n"));
  const file = await client.files.create({ file: await toFile(content, "in.jsonl"), purpose: "batch" });
  assert.equal(file.bytes, content.length);
  const request = { input_file_id: file.id, endpoint: "/v1/responses", completion_window: "24h" };
  const asked = await client.batches.create(request);
  const event = await unwrap(await next());
  assert.equal(event.type, "batch.completed");
  const batch = await client.batches.retrieve(asked.id);
  assert.equal(batch.request_counts.completed, 5);
  const output = await (await client.files.content(batch.output_file_id)).text();
  const lines = output.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => line.custom_id).sort(), ids);
}

async function cancelling() {
  // Work is quick, so that now and then it is done before it can be cancelled.
  for (let turn = 0; turn < 200; turn += 1) {
    const asked = await client.responses.create({ model: "gpt-5.6", background: true, input: ticket });
    const cancelled = await client.responses.cancel(asked.id);
    assert.equal((await unwrap(await next())).type, `response.${cancelled.status}`);
    assert.equal((await client.responses.cancel(asked.id)).status, cancelled.status);
    if (cancelled.status === "cancelled") return;
  }
  assert.fail("nothing could be cancelled");
}

async function errors() {
  await assert.rejects(client.responses.retrieve("resp_no"), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: "gpt-5.6" }), OpenAI.BadRequestError);
  const stranger = new OpenAI({ apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await settings({ access: "quota" });
  await assert.rejects(client.models.list(), OpenAI.RateLimitError);
  await settings({ access: "down" });
  await assert.rejects(client.models.list(), OpenAI.InternalServerError);
  await settings({ access: "open" });
  assert.ok((await client.models.list()).data.length > 0);
}

await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
await settings({ webhook_url: `http://127.0.0.1:${server.address().port}/` });
for (const part of [responses, webhooks, batches, cancelling, errors]) {
  await part();
  console.log(`${part.name}: ok`);
}
server.close();
process.exit(0);
