// The page: which view is shown, by the address after #, and when it is asked again.

import { NobodyKnown, useToken } from "./ask.js";
import { link, make } from "./elements.js";
import { port } from "./port.js";
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
  try {
    // What somebody typed may be no address.
    const [kind = "", id] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    mark(kind);
    const view = MENU.find(([place]) => place === kind)?.[2];
    const [title, content] = kind === "port" ? await port(id, here, failed) : await (view ?? OBJECTS[kind] ?? unknown)(id);
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
  if (main.querySelector("[data-longer]")) return;
  const [kind] = location.hash.replace(/^#\/?/, "").split("/");
  if (!document.hidden && !login.open && ["", "hypervisors", "prefixes", "outside", "drops"].includes(kind ?? "")) show(true);
}, REFRESH);
show();
