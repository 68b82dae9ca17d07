// Makes elements. Texts of tenants become text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function make(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export function link(to, text, attributes = {}) {
  return make("a", { href: `#/${to.map(encodeURIComponent).join("/")}`, ...attributes }, String(text));
}

/// An object by its name, or by the beginning of its id.
export function named(kind, id, name) {
  return link([kind, id], name || String(id).slice(0, 8), { title: id });
}

/// How something is: `good`, `note`, `unclear` or `bad`. Never by its colour alone.
export function state(kind, text = kind) {
  return make("span", { class: `state ${kind}` }, text);
}

/// A table. A column is its head, and what a row shows there.
export function table(caption, columns, rows) {
  const head = columns.map(([title]) => make("th", { scope: "col" }, title));
  const body = rows.map((row) => make("tr", null, columns.map(([, cell]) => {
    const shown = cell(row);
    const number = typeof shown === "number";
    return make("td", number ? { class: "number" } : null, number ? String(shown) : shown ?? "–");
  })));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", null,
      make("caption", null, caption),
      make("thead", null, make("tr", null, head)),
      make("tbody", null, body)));
}

/// What was looked at, how it is, and what to do.
export function findings(caption, rows) {
  return table(caption, [
    ["State", (row) => state(row.state)],
    ["Check", (row) => row.check],
    ["Says", (row) => [row.says, row.advice ? make("div", { class: "advice" }, `Do: ${row.advice}`) : ""]],
  ], rows);
}

/// Terms and what they mean.
export function terms(pairs) {
  return make("dl", null, pairs.map(([term, meaning]) => [make("dt", null, term), make("dd", null, meaning ?? "–")]));
}

/// Several, with something between them.
export function joined(parts, between = ", ") {
  return parts.flatMap((part, at) => (at ? [between, part] : [part]));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0) return "over";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}
