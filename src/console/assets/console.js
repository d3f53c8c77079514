// What a page does beyond links and forms. Everything works without it.
"use strict";

// Places that follow what happens: fetched again with the page, and put in
// where nobody is typing or pointing.
function live() {
  if (!document.querySelector("[data-live]") || !window.EventSource) return;
  const events = new EventSource("/api/v1/events");
  let asked = 0;
  const offline = document.getElementById("offline");
  events.addEventListener("changed", () => { asked += 1; if (asked === 1) refresh(); });
  events.onopen = () => { offline.hidden = true; };
  events.onerror = () => { offline.hidden = events.readyState === EventSource.OPEN; };
  async function refresh() {
    while (asked > 0) {
      asked = 1;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
      if (answer && answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) put(old, page.getElementById(old.id));
        document.title = page.title;
      }
      asked -= 1;
    }
  }
  function put(old, fresh) {
    if (!fresh || old.innerHTML === fresh.innerHTML) return;
    if (old.contains(document.activeElement) || old.matches(":hover")) return;
    old.innerHTML = fresh.innerHTML;
  }
  addEventListener("pagehide", () => events.close());
}

live();
