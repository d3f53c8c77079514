"""Drives the simulator with OpenAI's official Python SDK, as a program of a customer would.

Reads OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET; exits 0 if all went as it should.
"""

import json
import os
import queue
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

CONTROL = os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/_simulator/settings"
TICKET = "<ticket>Subject: Late parcel\ncustomer: My parcel is late. I want a refund.</ticket>"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["intent", "priority", "confidence"],
    "properties": {
        "intent": {"type": "string"},
        "priority": {"type": "string", "enum": ["low", "normal", "high", "urgent"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
FORMAT = {"format": {"type": "json_schema", "name": "kind", "strict": True, "schema": SCHEMA}}

client = openai.OpenAI(max_retries=0, timeout=30)
arrived = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        arrived.put((body, dict(self.headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def control(**settings):
    data = json.dumps(settings).encode()
    urllib.request.urlopen(urllib.request.Request(CONTROL, data, method="POST")).read()


def next_event():
    """The next webhook that the SDK accepts, and its raw form. Forgeries must raise."""
    body, headers = arrived.get(timeout=30)
    return client.webhooks.unwrap(body, headers), body, headers


def run(case="none", **more):
    """Starts a background response, awaits its webhook and retrieves it."""
    asked = client.responses.create(
        model="gpt-5.6", background=True, store=True, input=TICKET, metadata={"case": case}, **more
    )
    assert asked.status == "queued", asked.status
    event, _, _ = next_event()
    assert event.data.id == asked.id, event
    response = client.responses.retrieve(asked.id)
    assert event.type == f"response.{response.status}", (event.type, response.status)
    return response


def refused(error, call, *args, **more):
    try:
        call(*args, **more)
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


def responses():
    response = run()
    assert response.status == "completed" and "My parcel is late." in response.output_text
    assert response.usage.total_tokens > 0 and response.metadata["case"] == "none"
    answer = json.loads(run(text=FORMAT).output_text)
    assert answer["intent"] == "refund" and 0.8 < answer["confidence"] < 1, answer
    part = run("refusal").output[-1].content[0]
    assert part.type == "refusal" and part.refusal
    incomplete = run("incomplete")
    assert incomplete.incomplete_details.reason == "max_output_tokens"
    failed = run("failed")
    assert failed.error.code == "server_error" and failed.output_text == ""


def webhooks():
    client.responses.create(model="gpt-5.6", background=True, input=TICKET)
    _, body, headers = next_event()
    changed = body.replace(b"response.completed", b"response.failed")
    error = openai.InvalidWebhookSignatureError
    refused(error, client.webhooks.unwrap, changed, headers)
    refused(error, client.webhooks.unwrap, body, {**headers, "webhook-id": "wh_other"})
    client.responses.create(model="gpt-5.6", background=True, input=TICKET, metadata={"case": "forged"})
    outcomes = []
    for _ in range(2):
        body, headers = arrived.get(timeout=30)
        try:
            outcomes.append(client.webhooks.unwrap(body, headers).type)
        except error:
            outcomes.append("refused")
    assert sorted(outcomes) == ["refused", "response.completed"], outcomes


def batches():
    def line(number):
        body = {"model": "gpt-5.6", "input": TICKET, "text": FORMAT}
        return {"custom_id": f"T-{number}", "method": "POST", "url": "/v1/responses", "body": body}

    content = "\n".join(json.dumps(line(number)) for number in range(5)).encode()
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert file.bytes == len(content) and client.files.retrieve(file.id).purpose == "batch"
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
    )
    assert batch.status == "validating"
    event, _, _ = next_event()
    assert event.type == "batch.completed" and event.data.id == batch.id
    batch = client.batches.retrieve(batch.id)
    assert batch.request_counts.completed == 5 and not batch.error_file_id
    lines = [json.loads(text) for text in client.files.content(batch.output_file_id).text.splitlines()]
    assert sorted(line["custom_id"] for line in lines) == [f"T-{number}" for number in range(5)]
    assert all(line["response"]["body"]["status"] == "completed" for line in lines)
    assert [listed.id for listed in client.batches.list()][0] == batch.id
    assert client.files.delete(file.id).deleted


def cancelling():
    # Work is quick, so that now and then it is done before it can be cancelled.
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        asked = client.responses.create(model="gpt-5.6", background=True, input=TICKET)
        cancelled = client.responses.cancel(asked.id)
        event, _, _ = next_event()
        assert event.type == f"response.{cancelled.status}"
        assert client.responses.cancel(asked.id).status == cancelled.status
        if cancelled.status == "cancelled":
            return
    raise AssertionError("nothing could be cancelled")


def errors():
    assert refused(openai.NotFoundError, client.responses.retrieve, "resp_no").request_id
    refused(openai.NotFoundError, client.batches.retrieve, "batch_no")
    bad = refused(openai.BadRequestError, client.responses.create, model="gpt-5.6")
    assert bad.param == "input", bad
    stranger = openai.OpenAI(api_key="sk-wrong", max_retries=0)
    wrong = refused(openai.AuthenticationError, stranger.models.list)
    assert wrong.code == "invalid_api_key"
    control(access="quota")
    limited = refused(openai.RateLimitError, client.models.list)
    assert limited.code == "insufficient_quota"
    control(access="forbidden")
    refused(openai.PermissionDeniedError, client.models.list)
    control(access="down")
    refused(openai.InternalServerError, client.models.list)
    control(access="open")
    assert client.models.list().data


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control(webhook_url=f"http://127.0.0.1:{server.server_port}/")
    for part in (responses, webhooks, batches, cancelling, errors):
        part()
        print(f"{part.__name__}: ok", flush=True)


main()
