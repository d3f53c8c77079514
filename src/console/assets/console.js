// What a page does beyond links and forms. Everything works without it; nothing
// here knows what may be done, the server does.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Places that follow what happens: the page is fetched again, and put in where
// nobody is typing or pointing.
function live() {
  if (!one("[data-live], [data-rows]") || !window.EventSource) return;
  const offline = one("#offline");
  const events = new EventSource("/api/v1/events");
  let asked = false, busy = false;
  events.addEventListener("changed", () => { asked = true; refresh(); });
  // A stream ends every few minutes and is opened anew; only one that is not is told of.
  let late;
  events.onopen = () => { clearTimeout(late); late = null; offline.hidden = true; };
  events.onerror = () => { late ??= setTimeout(() => { offline.hidden = false; }, 3000); };
  addEventListener("pagehide", () => events.close());

  async function refresh() {
    if (busy) return;
    busy = true;
    while (asked) {
      asked = false;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
      if (answer && answer.ok && !answer.redirected) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
    busy = false;
  }

  function show(page) {
    for (const old of all("[data-live]")) put(old, page.getElementById(old.id));
    for (const nav of ["/reviews", "/jobs"]) {
      const [old, fresh] = [one(`.places a[href="${nav}"]`), one(`.places a[href="${nav}"]`, page)];
      if (old && fresh && old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML;
    }
    document.title = page.title;
    // A list that people work on stays as it is under their hands; they are told.
    const rows = (within) => all("[data-rows] [data-row]", within).map((row) => row.dataset.row).join();
    const news = one("#news");
    if (news) news.hidden = rows(document) === rows(page);
  }

  function put(old, fresh) {
    if (!fresh || old.innerHTML === fresh.innerHTML) return;
    if (old.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
    if (all("textarea, input", old).some((field) => field.value !== field.defaultValue)) return;
    const open = all("details", old).map((details) => details.open);
    const row = one("tr.current", old)?.dataset.row, focused = old.contains(document.activeElement) && named(document.activeElement);
    old.innerHTML = fresh.innerHTML;
    if (row) one(`[data-row="${CSS.escape(row)}"]`, old)?.classList.add("current");
    if (focused) one(focused, old)?.focus({ preventScroll: true });
    all("details", old).forEach((details, at) => { details.open = open[at] ?? details.open; });
  }
}

// How to find again what has the focus, once the page around it is new.
function named(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const address = element.getAttribute("href");
  if (!address) return null;
  const row = element.closest("[data-row]")?.dataset.row;
  return `${row ? `[data-row="${CSS.escape(row)}"] ` : ""}a[href="${CSS.escape(address)}"]`;
}

// Times that run out: the claim, and what can still be taken back.
function countdowns() {
  const left = (until) => Math.max(0, Math.ceil((Date.parse(until) - Date.now()) / 1000));
  const text = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const lease = one("#lease"), undo = one("#undo");
  if (lease) keep(lease);
  if (!lease && !undo) return;
  const tick = () => {
    if (lease) one("#lease-left").textContent = left(lease.dataset.until) ? text(left(lease.dataset.until)) : "over";
    if (undo && !undo.hidden) {
      const seconds = left(undo.dataset.until);
      one("#undo-left").textContent = `${seconds} s`;
      if (!seconds) undo.hidden = true;
    }
  };
  tick();
  setInterval(tick, 1000);

  // The claim lasts while somebody works: told at most once a minute.
  function keep(lease) {
    let told = Date.now();
    const alive = async () => {
      if (Date.now() - told < 60_000) return;
      told = Date.now();
      const answer = await fetch(lease.dataset.heartbeat, { method: "POST" }).catch(() => null);
      if (answer && answer.ok) lease.dataset.until = (await answer.json()).claimed_until;
      else if (answer && answer.status === 409) lost();
    };
    for (const kind of ["keydown", "pointerdown", "scroll"]) addEventListener(kind, alive, { passive: true });
  }

  function lost() {
    lease.textContent = "You do not have this any more. Load the page again to see who has.";
    lease.className = "wrong";
    one("#approve").disabled = true;
  }
}

// The draft as it is typed: counted, kept in this tab, and never lost by going away.
function draft() {
  // It is kept until the server has taken it.
  const last = new URLSearchParams(location.search).get("last");
  if (last) sessionStorage.removeItem(`draft/${last}`);
  const field = one("#decide #text");
  if (!field) return;
  const form = one("#decide"), key = `draft/${form.dataset.review}`;
  const kept = sessionStorage.getItem(key);
  if (kept !== null && kept !== field.value && !field.readOnly && field.value === field.defaultValue) field.value = kept;
  const count = () => { one("#count").textContent = `${field.value.length} characters`; };
  count();
  field.addEventListener("input", () => { count(); sessionStorage.setItem(key, field.value); });
  const submit = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); one("#approve").click(); }
    if (event.key === "Escape") field.blur();
  };
  field.addEventListener("keydown", submit);
}

// Keys. Single letters do nothing while somebody types, and can be turned off.
const KEYS = [
  ["j", "Next row", () => move(1)],
  ["k", "Row before", () => move(-1)],
  ["Enter", "Open the row", (event) => { const link = one("tr.current a"); if (!link || event.target.closest("a, button, summary")) return false; link.click(); }],
  ["x", "Pick the row", () => { const box = one("tr.current input[type=checkbox]"); if (!box) return false; box.click(); }],
  ["/", "Search or narrow the list", () => press("/") || focus(one("#find"))],
  ["n", "Next review", () => press("n")],
  ["c", "Claim", () => press("c")],
  ["u", "Release", () => press("u")],
  ["e", "Edit the text (Esc leaves it)", () => focus(one('[data-key="e"]'))],
  ["d", "Compare with the AI's text", () => press("d")],
  ["a", "Approve (Ctrl+Enter in the text)", () => press("a")],
  ["r", "Reject, then 1 to 9 or 0 for the reason", () => { const summary = one('[data-key="r"]'); if (!summary) return false; summary.parentElement.open = true; focus(one("[data-number]")); }],
  ["l", "Change the category", () => press("l")],
  ["p", "Change the priority", () => press("p")],
  ["m", "Hand to a lead", () => { const summary = one('[data-key="m"]'); if (!summary) return false; summary.parentElement.open = true; focus(one("input:not([type=hidden])", summary.parentElement)); }],
  ["z", "Undo the last decision", () => press("z")],
  ["Escape", "Back to the list", () => press("Escape")],
  ["g t", "Go to Today", () => go("/")],
  ["g q", "Go to Reviews", () => go("/reviews")],
  ["g d", "Go to Deliveries", () => go("/deliveries")],
  ["g j", "Go to Jobs", () => go("/jobs")],
  ["g i", "Go to Insights", () => go("/insights")],
  ["g s", "Go to Set-up", () => go("/setup")],
  ["?", "These keys", () => help()],
];

// Whoever decided by keyboard goes on from the top of the next one.
if (new URLSearchParams(location.search).has("last") && document.activeElement === document.body) one("#main")?.focus({ preventScroll: true });

function go(address) { location.href = address; }
function focus(field) { if (!field) return false; field.focus(); field.select?.(); }

function press(key) {
  const target = all(`[data-key="${CSS.escape(key)}"]`).find((found) => found.offsetParent !== null);
  if (!target || target.disabled) return false;
  if (target.matches("input, textarea, select")) focus(target); else target.click();
  return true;
}

function move(by) {
  const rows = all("[data-row]");
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.classList.contains("current"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  rows[at]?.classList.remove("current");
  next.classList.add("current");
  one("a", next)?.focus();
  next.scrollIntoView({ block: "nearest" });
}

function help() {
  const dialog = one("#help");
  if (dialog.open) { dialog.close(); return; }
  dialog.showModal();
}

function keys() {
  const list = one("#help-keys");
  for (const [key, does] of KEYS) {
    const line = document.createElement("div");
    for (const part of key.split(" ")) { const cap = document.createElement("kbd"); cap.textContent = part; line.append(cap, " "); }
    line.append(does);
    list.append(line);
  }
  const off = one("#keys-off");
  off.checked = localStorage.getItem("keys") === "off";
  off.addEventListener("change", () => localStorage.setItem("keys", off.checked ? "off" : "on"));
  const button = one("[data-help]");
  if (button) { button.hidden = false; button.addEventListener("click", help); }

  let first = "";
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const field = event.target.closest?.("input, textarea, select");
    // The reasons of a rejection: the number chooses, Enter sends.
    if (field?.dataset.number !== undefined && /^[0-9]$/.test(event.key)) {
      const choice = one(`[data-number="${event.key}"]`);
      if (choice) { choice.checked = true; choice.focus(); event.preventDefault(); }
      return;
    }
    if (field && !(field.type === "radio" && event.key === "Escape")) return;
    if (one("#help").open && event.key !== "?") return;
    if (off.checked && event.key.length === 1 && event.key !== "?") return;
    const typed = first ? `${first} ${event.key}` : event.key;
    first = "";
    if (typed === "g") { first = "g"; return; }
    const found = KEYS.find(([key]) => key === typed);
    if (found && found[2](event) !== false) event.preventDefault();
  });
}

// Small things.
function rest() {
  one("[data-reload]")?.addEventListener("click", () => location.reload());
  for (const link of all("[data-link]")) link.textContent = location.origin + link.dataset.link;
  // A link with what was just done in it says so once.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) { address.searchParams.delete("done"); history.replaceState(null, "", address); }
  addEventListener("offline", () => { one("#offline").hidden = false; });
  for (const form of all("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      // Pressed twice is meant once.
      if (form.dataset.sent) { event.preventDefault(); return; }
      if (!event.defaultPrevented) form.dataset.sent = "yes";
    });
  }
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
}

live();
countdowns();
draft();
keys();
rest();
