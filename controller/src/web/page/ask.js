// Asks Sextant: the verbs of its control socket, and a port's story as it happens.

const TOKEN = "sextant-token";

/// Nobody is known to be asking: a token is needed.
export class NobodyKnown extends Error {}

export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, "X-Auth-Token": token } : more;
}

async function answered(response) {
  if (response.status === 401) {
    sessionStorage.removeItem(TOKEN);
    throw new NobodyKnown("Sextant does not know who asks.");
  }
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response;
}

/// The rows of a verb's answer.
export async function ask(verb, options = {}) {
  const response = await answered(await fetch("ask", {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify({ [verb]: options }),
  }));
  const lines = (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const last = lines.pop();
  if (last?.refused !== undefined) throw new Error(last.refused);
  if (last !== "end") throw new Error("The answer was cut off: ask again.");
  return lines.map((line) => line.row);
}

/// Tells a port's events as they happen, and goes on after an interruption. Ends with the signal.
export async function follow(port, tell, signal) {
  let last = "";
  while (!signal.aborted) {
    try {
      const more = last ? { "Last-Event-ID": last } : {};
      const url = `events?port=${encodeURIComponent(port)}`;
      const response = await answered(await fetch(url, { headers: headers(more), signal }));
      tell({ connected: true });
      for await (const event of events(response.body)) {
        last = event.id || last;
        if (event.event === "lost") tell({ lost: Number(event.data) });
        else if (event.data) tell({ row: JSON.parse(event.data) });
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof NobodyKnown) throw error;
      tell({ connected: false, why: error.message });
    }
    await new Promise((later) => setTimeout(later, 1000));
  }
}

/// The events of a stream (HTML Living Standard, server-sent events).
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) yield parsed(part);
  }
}

function parsed(part) {
  const event = {};
  for (const line of part.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return event;
}
