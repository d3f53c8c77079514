#!/usr/bin/env python3
"""A receiver for Frontdesk's generic helpdesk connector, and a small ticket system behind it.

    FRONTDESK_SECRET=whsec_... python3 helpdesk_receiver.py 8090 tickets.db

Frontdesk posts to / ; docs/helpdesks.md has each request. What matters here:

- the signature is checked over the raw body before anything is read (Standard Webhooks 1.0.0, five minutes);
- each webhook-id is carried out once, in the same transaction as the change: sent again, it gets the same answer;
- `revision` goes up with what people and customers do, and never with what Frontdesk does.

Needs nothing but Python. The paths under /team/ stand for your own system's side; leave them out of yours.
"""
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = int(os.environ.get("RECEIVER_TOLERANCE_S", 300))
LOCK = threading.Lock()
SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (id TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS done (webhook_id TEXT PRIMARY KEY, answer TEXT NOT NULL);
"""


class Refused(Exception):
    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def verify(headers, body, secret):
    """Raises unless these bytes were signed with this secret just now."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    webhook_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdigit() or abs(time.time() - int(at)) > TOLERANCE_S:
        raise Refused(400, "not verified")
    signed = f"{webhook_id}.{at}.".encode() + body
    ours = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [one.partition(",")[2] for one in headers.get("webhook-signature", "").split() if one.startswith("v1,")]
    if not any(hmac.compare_digest(ours.encode(), one.encode()) for one in given):
        raise Refused(400, "not verified")
    return webhook_id


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Desk:
    def __init__(self, path):
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.executescript(SCHEMA)

    def load(self, ticket_id):
        row = self.db.execute("SELECT data FROM tickets WHERE id = ?", (str(ticket_id),)).fetchone()
        if row is None:
            raise Refused(404, "no such ticket")
        return json.loads(row[0])

    def save(self, ticket):
        self.db.execute("INSERT INTO tickets (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
                        (ticket["id"], json.dumps(ticket)))

    def once(self, webhook_id, request):
        """Carries out a change and remembers its answer, in one transaction."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            row = self.db.execute("SELECT answer FROM done WHERE webhook_id = ?", (webhook_id,)).fetchone()
            answer = json.loads(row[0]) if row else self.change(request)
            if row is None:
                self.db.execute("INSERT INTO done (webhook_id, answer) VALUES (?, ?)", (webhook_id, json.dumps(answer)))
            self.db.execute("COMMIT")
            return answer
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def change(self, request):
        ticket, kind = self.load(request["ticket"]), request["type"]
        number = str(ticket["next"])
        ticket["next"] += 1
        said = {"id": number, "by": "frontdesk", "text": request.get("text", ""), "reference": request["reference"]}
        if kind in ("ticket.note", "ticket.file"):
            file = {"name": request["name"], "content": request["content"]} if kind == "ticket.file" else None
            ticket["messages"].append({**said, "public": False, "file": file})
        elif kind == "ticket.reply":
            ticket["messages"].append({**said, "public": True})
        elif kind == "ticket.draft":
            ticket["drafts"].append(said)
        elif kind == "ticket.set":
            self.set(ticket, request)
        elif kind == "ticket.remove":
            for part in ("messages", "drafts"):
                ticket[part] = [one for one in ticket[part] if one["id"] != request["id"]]
        else:
            raise Refused(422, "no such request")
        self.save(ticket)
        return {"id": number}

    def set(self, ticket, request):
        if request.get("queue", "support") not in ("support", "logistics"):
            raise Refused(422, "no such queue")
        for name in ("queue", "priority"):
            ticket[name] = request.get(name, ticket[name])
        ticket["tags"] += [tag for tag in request.get("add_tags", []) if tag not in ticket["tags"]]
        ticket["fields"].update(request.get("fields", {}))

    def team(self, path, request):
        """What customers and people do."""
        if path == "/team/tickets":
            ticket = {"id": request["id"], "subject": request["subject"], "status": "open", "queue": "support", "priority": "normal",
                      "tags": [], "fields": {}, "revision": 0, "changed_at": None, "messages": [], "drafts": [], "next": 1}
        else:
            ticket = self.load(request["ticket"])
            said = {"id": str(ticket["next"]), "by": request["by"], "text": request["text"], "reference": None}
            place = "drafts" if request.get("draft") else "messages"
            ticket[place].append({**said, "public": request.get("public", False)})
            ticket.update(next=ticket["next"] + 1, revision=ticket["revision"] + 1, changed_at=rfc3339(time.time()))
        self.save(ticket)
        return {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            with LOCK:
                self.answer(200, self.handle_request(body))
        except Refused as refused:
            self.answer(refused.status, {"error": str(refused)})
        except (ValueError, KeyError, TypeError):
            self.answer(400, {"error": "not understood"})

    def handle_request(self, body):
        desk, secret = self.server.desk, self.server.secret
        if self.path.startswith("/team/"):
            return desk.team(self.path, json.loads(body))
        webhook_id = verify(self.headers, body, secret)
        request = json.loads(body)
        if request["type"] == "ping":
            return {}
        if request["type"] == "ticket.read":
            return {"ticket": desk.load(request["ticket"])}
        return desk.once(webhook_id, request)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Bodies and ids of customers are nobody's business."""


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.desk, server.secret = Desk(path), os.environ["FRONTDESK_SECRET"]
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
