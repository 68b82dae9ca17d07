// Draws the cloud from the outside in: external networks, routers, networks. Large clouds are summed.

import { draw } from "./elements.js";

/// How many of a kind are drawn: those with most ports or interfaces.
export const MOST = 14;

const WIDTH = 1000;
const BOX = { width: 250, height: 42, gap: 12 };
const COLUMNS = [20, 375, 730];

/// The drawing of what is given in this order. Its boxes are links, so the keyboard reaches each.
export function topology(external, networks, routers) {
  const [outside, inside, shown] = [external, networks, routers].map(drawn);
  const places = new Map();
  const boxes = [
    column(0, outside, places, networkBox),
    column(1, shown, places, routerBox),
    column(2, inside, places, networkBox),
  ];
  const rows = Math.max(1, outside.rows, shown.rows, inside.rows);
  const height = 40 + rows * (BOX.height + BOX.gap);
  const heads = ["Outside", "Routers", "Networks"].map((text, at) =>
    draw("text", { x: COLUMNS[at], y: 22, class: "faint" }, text));
  return draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "group", "aria-label": "Networks and routers, from the outside in" },
    heads, wires(shown.those, places), boxes);
}

/// Those that have a place, and whether there are more.
function drawn(all) {
  const those = all.slice(0, MOST);
  const more = all.length > MOST;
  return { those, more, rows: those.length + (more ? 1 : 0) };
}

function column(at, { those, more }, places, box) {
  const boxes = those.map((one, row) => {
    const place = { x: COLUMNS[at], y: 32 + row * (BOX.height + BOX.gap) };
    places.set(one.network_id ?? one.router_id, place);
    return box(one, place);
  });
  if (more) {
    const y = 32 + those.length * (BOX.height + BOX.gap) + 20;
    boxes.push(draw("text", { x: COLUMNS[at], y, class: "faint" }, "and more"));
  }
  return boxes;
}

function networkBox(network, place) {
  const subnets = network.subnets.map((subnet) => subnet.cidr ?? "awaits a prefix").join(", ");
  const waiting = network.active < network.plugged || !network.enabled || network.subnets.some((subnet) => !subnet.cidr);
  const detail = `${network.plugged} guests on ${network.hypervisors} hypervisors`;
  return box(["network", network.network_id], place, network.name || network.network_id.slice(0, 8), subnets || "no subnet", detail, waiting);
}

function routerBox(router, place) {
  const on = router.gateway ? router.gateway.chassis ?? "no hypervisor" : "no gateway";
  const wrong = !router.enabled || (router.gateway && !router.gateway.chassis);
  const detail = router.gateway ? `gateway on ${on}` : on;
  return box(["router", router.router_id], place, router.name || router.router_id.slice(0, 8), `${router.interfaces.length} interfaces`, detail, wrong);
}

function box(to, place, name, line, detail, wrong) {
  const words = `${to[0]} ${name}: ${line}, ${detail}${wrong ? ", look here" : ""}`;
  return draw("a", { href: `#/${to.map(encodeURIComponent).join("/")}`, class: wrong ? "wrong" : null, "aria-label": words },
    draw("title", null, `${name}\n${line}\n${detail}`),
    draw("rect", { x: place.x, y: place.y, width: BOX.width, height: BOX.height, rx: 5 }),
    draw("text", { x: place.x + 10, y: place.y + 18 }, cut(`${wrong ? "! " : ""}${name}`, 30)),
    draw("text", { x: place.x + 10, y: place.y + 34, class: "faint" }, cut(line, 38)));
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/// From each router to its networks that are drawn.
function wires(routers, places) {
  const wires = [];
  for (const router of routers) {
    const from = places.get(router.router_id);
    const ends = [...router.interfaces.map((inside) => inside.network_id), router.gateway?.network_id];
    for (const end of new Set(ends)) {
      const to = places.get(end);
      if (to) wires.push(wire(from, to));
    }
  }
  return wires;
}

function wire(router, network) {
  const [left, right] = router.x < network.x ? [router, network] : [network, router];
  const start = { x: left.x + BOX.width, y: left.y + BOX.height / 2 };
  const end = { x: right.x, y: right.y + BOX.height / 2 };
  const middle = (start.x + end.x) / 2;
  return draw("path", { d: `M${start.x} ${start.y} C${middle} ${start.y} ${middle} ${end.y} ${end.x} ${end.y}` });
}
