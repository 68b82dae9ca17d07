// Says what is installed under which license, and fails on one that is not in this list. Nothing of it is shipped: it draws
// pictures on the machine of whoever writes the guides.

import { readFile } from "node:fs/promises";

const ALLOWED = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "Unlicense", "Zlib"];
/// Packages whose manifest names none. Of `get-document` nothing says it: `bundle.mjs` leaves it out.
const ELSEWHERE = {
  "fast-shallow-equal": "Unlicense",
  "get-document": "left out",
  "react-universal-interface": "Unlicense",
};
/// Grafana's own components.
const GRAFANA = ["@grafana/data", "@grafana/ui", "@grafana/schema", "@grafana/i18n", "@grafana/e2e-selectors"];

const { packages } = JSON.parse(await readFile("package-lock.json", "utf8"));
const counts = new Map();
const refused = [];
for (const [path, { license }] of Object.entries(packages)) {
  const name = path.split("node_modules/").at(-1);
  if (!name) continue;
  const found = license ?? ELSEWHERE[name] ?? "none";
  counts.set(found, (counts.get(found) ?? 0) + 1);
  const fits = GRAFANA.includes(name) ? found === "Apache-2.0" : allows(found);
  if (!fits) refused.push(`${name}: ${found}`);
}
console.log([...counts].map(([license, count]) => `${license}: ${count}`).sort().join(", "));
if (refused.length > 0) throw new Error(`licenses that are not allowed:\n${refused.join("\n")}`);

/// Whether an expression (SPDX) leaves a choice of what is allowed, or asks for nothing else.
function allows(expression) {
  if (expression === "left out") return true;
  const words = expression.replaceAll(/[()]/g, "");
  if (words.includes(" OR ")) return words.split(" OR ").some(allows);
  return words.split(" AND ").every((license) => ALLOWED.includes(license));
}
