// What the page shows: a view is a function that asks, and makes the content.

import { ask } from "./ask.js";
import { duration, findings, joined, link, make, named, state, table, terms } from "./elements.js";
import { MOST, topology } from "./topology.js";

const PAGE = 100;
const TILES = 200;
/// One more than is drawn of a kind says that there are more.
const DRAWN = { busiest: true, limit: MOST + 1 };

/// The views of the menu, by their place in the address.
export const MENU = [
  ["", "Overview", overview],
  ["hypervisors", "Hypervisors", hypervisors],
  ["networks", "Networks", networks],
  ["routers", "Routers", routers],
  ["ports", "Ports", ports],
  ["prefixes", "Prefixes", prefixes],
  ["outside", "Outside", outside],
  ["drops", "Drops", drops],
];

/// The views of one object each.
export const OBJECTS = { hypervisor, network, router, search };

async function overview() {
  const [status, wrong, first, outside, inside, ways] = await Promise.all([
    ask("status"), ask("hypervisors", { wrong: true, limit: TILES }), ask("hypervisors", { limit: TILES }),
    ask("networks", { ...DRAWN, external: true }), ask("networks", { ...DRAWN, external: false }), ask("routers", DRAWN),
  ]);
  const names = new Set(wrong.map((row) => row.chassis));
  const all = [...wrong, ...first.filter((row) => !names.has(row.chassis))].slice(0, TILES);
  const more = first.length === TILES;
  return ["The cloud", [
    findings("What was looked at, what is wrong first", status),
    make("h2", null, "From the outside in"),
    topology(outside, inside, ways),
    make("h2", null, `Hypervisors (${more ? `${TILES} of them, those first that need you` : all.length})`),
    tiles(all),
    more ? make("p", null, link(["hypervisors"], "All hypervisors")) : "",
  ]];
}

function tiles(rows) {
  const entries = rows.map((row) => {
    const wrong = isWrong(row);
    const words = `${row.chassis}: ${row.ports} ports${wrong ? ", look here" : ""}`;
    return make("li", null, link(["hypervisor", row.chassis], row.chassis, { class: wrong ? "wrong" : null, title: words, "aria-label": words }));
  });
  return make("ul", { class: rows.length > 60 ? "tiles many" : "tiles" }, entries);
}

function isWrong(row) {
  const lost = row.connected !== "both" && row.connected !== "elsewhere";
  return lost || row.active < row.ports || row.refused_flows > 0 || row.silent_tunnels.length > 0;
}

const CONNECTED = {
  both: ["good", "connected"],
  database_only: ["bad", "no switch"],
  switch_only: ["bad", "no database"],
  elsewhere: ["good", "elsewhere"],
  gone: ["bad", "gone"],
};

async function hypervisors() {
  return ["Hypervisors", [await paged("hypervisors", {}, "chassis", hypervisorTable)]];
}

function hypervisorTable(rows) {
  return table("Hypervisors", [
    ["Name", (row) => link(["hypervisor", row.chassis], row.chassis)],
    ["Connected", (row) => state(...CONNECTED[row.connected])],
    ["Owner", (row) => row.owner],
    ["Tunnels", (row) => `${row.encap} to ${row.endpoints.join(", ")}`],
    ["Ports", (row) => row.ports],
    ["Active", (row) => row.active],
    ["Gateways", (row) => row.gateways],
    ["Silent tunnels", (row) => row.silent_tunnels.length],
    ["Refused flows", (row) => row.refused_flows],
  ], rows);
}

async function hypervisor(id) {
  const [all, lost, some] = await Promise.all([
    ask("hypervisors", { chassis: id }), ask("drops", { chassis: id }), ask("networks", { chassis: id }),
  ]);
  const row = all[0];
  if (!row) throw new Error(`there is no hypervisor ${id}`);
  return [`Hypervisor ${id}`, [
    terms([
      ["Connected", state(...CONNECTED[row.connected])],
      ["Owner", row.owner],
      ["Tunnels", `${row.encap} to ${row.endpoints.join(", ")}`],
      ["Physical networks", row.physical_networks.join(", ") || "none"],
      ["Gateways", String(row.gateways)],
      ["Hears nothing of", joined(row.silent_tunnels.map((peer) => link(["hypervisor", peer], peer)))],
      ["Refused flows", String(row.refused_flows)],
    ]),
    make("h2", null, "Networks with guests here"),
    networkTable(some),
    make("h2", null, "Drops"),
    dropTable(lost),
    make("h2", null, "Ports"),
    await paged("ports", { chassis: id }, "port_id", portTable),
  ]];
}

function networkTable(rows) {
  return table("Networks", [
    ["Name", (row) => named("network", row.network_id, row.name)],
    ["Kind", (row) => [row.kind, row.external ? ", external" : "", row.enabled ? null : state("bad", "disabled")]],
    ["Subnets", (row) => joined(row.subnets.map((subnet) => `${subnet.cidr ?? "awaits a prefix"} (${subnet.mode})`))],
    ["Routers", (row) => joined(row.routers.map((id) => named("router", id)))],
    ["Ports", (row) => row.ports],
    ["Plugged in", (row) => row.plugged],
    ["Active", (row) => row.active],
    ["Hypervisors", (row) => row.hypervisors],
  ], rows);
}

async function networks() {
  return ["Networks", [await paged("networks", {}, "network_id", networkTable)]];
}

async function network(id) {
  const [row] = await ask("networks", { network: id });
  if (!row) throw new Error(`there is no network ${id}`);
  return [`Network ${row.name || id}`, [
    networkTable([row]),
    make("h2", null, "Ports"),
    await paged("ports", { network: id }, "port_id", portTable),
  ]];
}

function routerTable(rows) {
  return table("Routers", [
    ["Name", (row) => named("router", row.router_id, row.name)],
    ["Enabled", (row) => (row.enabled ? "yes" : state("bad", "no"))],
    ["Interfaces", (row) => joined(row.interfaces.map((inside) => [named("network", inside.network_id), ` ${inside.addresses.join(", ")}`]))],
    ["Gateway", (row) => (row.gateway ? [named("network", row.gateway.network_id), ` ${row.gateway.addresses.join(", ")}`] : null)],
    ["On", (row) => (row.gateway ? (row.gateway.chassis ? link(["hypervisor", row.gateway.chassis], row.gateway.chassis) : state("bad", "no hypervisor")) : null)],
  ], rows);
}

async function routers() {
  return ["Routers", [await paged("routers", {}, "router_id", routerTable)]];
}

async function router(id) {
  const [row] = await ask("routers", { router: id });
  if (!row) throw new Error(`there is no router ${id}`);
  return [`Router ${row.name || id}`, [routerTable([row])]];
}

const PORT = {
  disabled: ["note", "disabled"],
  unplugged: ["unclear", "unplugged"],
  waiting: ["bad", "waiting"],
  active: ["good", "active"],
  router: ["good", "router"],
};

function portTable(rows) {
  return table("Ports", [
    ["Name", (row) => named("port", row.port_id, row.name)],
    ["State", (row) => state(...PORT[row.state])],
    ["Addresses", (row) => row.addresses.join(", ")],
    ["MAC", (row) => make("span", { class: "id" }, row.mac)],
    ["Network", (row) => named("network", row.network_id)],
    ["On", (row) => (row.chassis ? link(["hypervisor", row.chassis], row.chassis) : null)],
    ["OpenFlow port", (row) => row.ofport],
    ["Leases", (row) => (row.leases.length ? joined(row.leases.map(lease)) : null)],
    ["Used by", (row) => row.device_owner],
  ], rows);
}

/// How long a lease holds, and in its title when it was renewed.
function lease({ protocol, valid_for, renewed_ago }) {
  const name = protocol === "dhcpv4" ? "DHCP" : "DHCPv6";
  const title = `renewed ${duration(renewed_ago)} ago`;
  return make("span", { title }, valid_for > 0 ? `${name} ${duration(valid_for)}` : state("bad", `${name} over`));
}

async function ports() {
  return ["Ports", [await paged("ports", {}, "port_id", portTable)]];
}

/// The first rows, and a button for more.
async function paged(verb, options, key, shown) {
  const first = await ask(verb, { ...options, limit: PAGE });
  const place = make("div", null, shown(first));
  let rows = first;
  const more = make("button", { type: "button", click: async () => {
    const next = await ask(verb, { ...options, limit: PAGE, after: rows.at(-1)[key] });
    rows = rows.concat(next);
    place.dataset.longer = "yes";
    place.replaceChildren(shown(rows));
    more.hidden = next.length < PAGE;
  } }, `${PAGE} more`);
  more.hidden = first.length < PAGE;
  return [place, more];
}

async function prefixes() {
  return ["Prefixes", [table("Subnets of prefix delegation", [
    ["Subnet", (row) => row.name || row.subnet_id.slice(0, 8)],
    ["Prefix", (row) => row.cidr ?? state("bad", "awaited")],
    ["Delegated", (row) => row.delegated],
    ["Router", (row) => (row.router_id ? named("router", row.router_id) : null)],
    ["On", (row) => row.chassis],
    ["Renewed in", (row) => duration(row.renewed_in)],
    ["Preferred for", (row) => duration(row.preferred_for)],
    ["Valid for", (row) => duration(row.valid_for)],
  ], await ask("prefixes"))]];
}

async function outside() {
  const [neighbors, ways] = await Promise.all([ask("neighbors"), paged("routers", { gateway: true }, "router_id", routerTable)]);
  return ["Outside", [
    make("h2", null, "Routers with a gateway"),
    ways,
    make("h2", null, "Neighbors on external networks"),
    table("Neighbors", [
      ["Address", (row) => row.address],
      ["MAC", (row) => (row.mac ? make("span", { class: "id" }, row.mac) : state("bad", "does not answer"))],
      ["State", (row) => row.state],
      ["Default router", (row) => (row.default_router ? "yes" : null)],
      ["Seen from", (row) => link(["hypervisor", row.chassis], row.chassis)],
      ["Network", (row) => named("network", row.network_id)],
    ], neighbors),
  ]];
}

function dropTable(rows) {
  return table("Packets that no flow took", [
    ["Hypervisor", (row) => link(["hypervisor", row.chassis], row.chassis)],
    ["Table", (row) => row.stage],
    ["Packets", (row) => row.packets],
    ["The table asks", (row) => row.asks],
  ], rows);
}

async function drops() {
  return ["Drops", [dropTable(await ask("drops", { limit: 5 * PAGE }))]];
}

const PLACES = { "security group": null, subnet: null };

async function search(text) {
  const rows = await ask("search", { text });
  return [`“${text}”`, [rows.length ? table("What may be meant", [
    ["Kind", (row) => row.kind],
    ["Name", (row) => (row.kind in PLACES ? row.name || row.id : named(row.kind, row.id, row.name))],
    ["Id", (row) => make("span", { class: "id" }, row.id)],
    ["Detail", (row) => row.detail],
  ], rows) : make("p", null, "Nothing is meant by that.")]];
}
