// The page: which view is shown, by the address after #, and when it is asked again.

import { NobodyKnown, ask, follow, useToken } from "./ask.js";
import { link, make, state, table } from "./elements.js";
import { MENU, OBJECTS } from "./views.js";

const REFRESH = 10000;
const main = document.getElementById("main");
const status = document.getElementById("state");
const login = document.getElementById("login");

let leaving = new AbortController();

/// Shows what the address names. A refresh keeps what has the focus.
async function show(again = false) {
  if (!again) {
    leaving.abort();
    leaving = new AbortController();
  }
  const here = leaving.signal;
  const [kind = "", id] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  mark(kind);
  try {
    const view = MENU.find(([place]) => place === kind)?.[2];
    const [title, content] = kind === "port" ? await port(id, here) : await (view ?? OBJECTS[kind] ?? unknown)(id);
    if (here.aborted) return;
    const focused = document.activeElement?.getAttribute?.("href");
    main.replaceChildren(make("h1", null, title), ...content.flat());
    document.title = `${title} – Sextant`;
    if (!again) main.focus({ preventScroll: true });
    else if (focused) main.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    tell("");
  } catch (error) {
    if (!here.aborted) failed(error, again);
  }
}

function unknown() {
  throw new Error("There is no such view.");
}

function failed(error, again) {
  if (error instanceof NobodyKnown) {
    if (!login.open) login.showModal();
    return;
  }
  tell(error.message);
  if (!again) main.replaceChildren(make("h1", null, "No answer"), make("p", null, error.message));
}

function tell(text) {
  status.textContent = text;
  status.className = text ? "bad" : "";
}

function mark(kind) {
  for (const entry of document.querySelectorAll("nav a")) {
    if (entry.dataset.place === kind) entry.setAttribute("aria-current", "page");
    else entry.removeAttribute("aria-current");
  }
}

/// A port: what keeps its guest from its address, and its story as it happens.
async function port(id, leaving) {
  const rows = await ask("why", { port: id });
  const verdict = rows.find((row) => row.row === "verdict");
  const story = make("tbody", null);
  const live = make("p", { role: "status" }, "The story begins …");
  const seen = new Map();
  const hear = (news) => {
    if (news.connected === true) live.textContent = "Live.";
    else if (news.connected === false) live.textContent = `Interrupted (${news.why}); it goes on by itself.`;
    else if (news.lost) story.prepend(make("tr", null, make("td", { colspan: "5" }, `${news.lost} older events are forgotten`)));
    else {
      const line = event(news.row);
      const before = seen.get(news.row.number);
      if (before) before.replaceWith(line);
      else story.prepend(line);
      seen.set(news.row.number, line);
    }
  };
  follow(id, hear, leaving).catch((error) => failed(error, true));
  return [`Port ${verdict.port_id}`, [
    make("div", { class: `verdict ${verdict.state}`, role: "status" },
      make("p", null, state(verdict.state), " ", verdict.says),
      verdict.advice ? make("p", { class: "advice" }, `Do: ${verdict.advice}`) : null),
    table("What its guest needs, in order", [
      ["State", (row) => state(row.state)],
      ["Check", (row) => row.check],
      ["Says", (row) => [row.says, row.advice ? make("div", { class: "advice" }, `Do: ${row.advice}`) : null]],
    ], rows.filter((row) => row.row === "finding")),
    make("h2", null, "Story"),
    live,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Story" },
      make("table", null,
        make("thead", null, make("tr", null, ["First", "Last", "Times", "Event", "Outcome"].map((head) => make("th", { scope: "col" }, head)))),
        story)),
    make("p", null, link(["search", verdict.port_id], "Search for it")),
  ]];
}

function event(row) {
  return make("tr", { class: "fresh", "data-number": row.number },
    make("td", null, time(row.first)), make("td", null, time(row.last)), make("td", { class: "number" }, String(row.times)),
    make("td", null, row.event), make("td", null, row.outcome));
}

function time(text) {
  return make("time", { datetime: text }, new Date(text).toLocaleTimeString());
}

document.getElementById("views").append(...MENU.map(([place, title]) =>
  make("li", null, link([place], title, { "data-place": place }))));

document.getElementById("search").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const text = document.getElementById("text").value.trim();
  if (text) location.hash = `#/search/${encodeURIComponent(text)}`;
});

login.addEventListener("close", () => {
  useToken(document.getElementById("token").value.trim());
  document.getElementById("token").value = "";
  show();
});

addEventListener("hashchange", () => show());
setInterval(() => {
  // A port's story comes by itself, and longer lists stay as far as they were read.
  const [kind] = location.hash.replace(/^#\/?/, "").split("/");
  if (!document.hidden && !login.open && ["", "hypervisors", "prefixes", "outside", "drops"].includes(kind ?? "")) show(true);
}, REFRESH);
show();
