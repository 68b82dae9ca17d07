// A port: what keeps its guest from its address, and its story as it happens.

import { ask, follow } from "./ask.js";
import { findings, link, make, state } from "./elements.js";

const AGAIN = 10000;
const HEADS = ["First", "Last", "Times", "Event", "Outcome"];

/// The view of a port. What is wrong is asked again after each event, and from time to time.
export async function port(id, leaving, failed) {
  const judged = make("div", null);
  const first = await judge(id, judged);
  const again = () => judge(id, judged).catch((error) => leaving.aborted || failed(error, true));
  const timer = setInterval(again, AGAIN);
  leaving.addEventListener("abort", () => clearInterval(timer));
  const story = new Story(again);
  follow(first.port_id, (news) => story.hear(news), leaving).catch((error) => failed(error, true));
  return [`Port ${first.port_id}`, [judged, make("h2", null, "Story"), story.live, story.table]];
}

async function judge(id, place) {
  const rows = await ask("why", { port: id });
  const verdict = rows.find((row) => row.row === "verdict");
  place.replaceChildren(
    make("div", { class: `verdict ${verdict.state}` },
      make("p", null, state(verdict.state), " ", verdict.says),
      verdict.advice ? make("p", { class: "advice" }, `Do: ${verdict.advice}`) : ""),
    findings("What its guest needs, in order", rows.filter((row) => row.row === "finding")));
  return verdict;
}

/// The events of a port, the newest first.
class Story {
  constructor(changed) {
    this.changed = changed;
    this.lines = new Map();
    this.live = make("p", { role: "status" }, "The story begins …");
    this.body = make("tbody", null);
    const head = make("tr", null, HEADS.map((head) => make("th", { scope: "col" }, head)));
    this.table = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Story" },
      make("table", null, make("thead", null, head), this.body));
  }

  hear({ connected, why, lost, row }) {
    if (connected === true) this.live.textContent = "Live.";
    else if (connected === false) this.live.textContent = `Interrupted (${why}); it goes on by itself.`;
    else if (lost) this.body.prepend(make("tr", null, make("td", { colspan: HEADS.length }, `${lost} events are forgotten`)));
    else this.add(row);
  }

  add(row) {
    const line = make("tr", { class: "fresh", "data-number": row.number },
      make("td", null, time(row.first)), make("td", null, time(row.last)), make("td", { class: "number" }, String(row.times)),
      make("td", null, row.event), make("td", null, row.outcome));
    const before = this.lines.get(row.number);
    if (before && before.dataset.first === row.first) before.replaceWith(line);
    else this.body.prepend(line);
    line.dataset.first = row.first;
    this.lines.set(row.number, line);
    clearTimeout(this.soon);
    this.soon = setTimeout(this.changed, 500);
  }
}

function time(text) {
  return make("time", { datetime: text }, new Date(text).toLocaleTimeString());
}
