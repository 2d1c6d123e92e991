// What the Node programs share: each feature is a function, each result one line on standard output.
import { randomUUID } from "node:crypto";

export const ASK = "Use get_weather for Paris, please."; // the simulated Claude calls the tools that a text names

// One pixel, and one empty page.
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64",
);
export const PDF = Buffer.from("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
  + "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n");
export const PNG_URL = `data:image/png;base64,${PNG.toString("base64")}`;
export const PDF_URL = `data:application/pdf;base64,${PDF.toString("base64")}`;

const features = [];

export function feature(name, run) {
  features.push([name, run]);
}

export function assert(holds, what) {
  if (!holds) throw new Error(`not so: ${typeof what === "string" ? what : JSON.stringify(what)}`);
}

export function thrownBy(promise) {
  return promise.then(() => null, (thrown) => thrown);
}

// A user's text that tells the simulated Claude what to do, in each of the calls that follow from it if several are given.
export function simulate(text, ...scripts) {
  const [first, ...others] = scripts.map((script) => ({ id: randomUUID(), ...script }));
  return `${text} [[simulate: ${JSON.stringify(others.length ? [first, ...others] : first)}]]`;
}

// An answer that begins, and then stays away: whoever wants to go on has to leave. The test that runs the program asserts
// that each such call to Claude was ended.
export function stalled() {
  return simulate("Hello.", { text: "and so on ".repeat(100), stall_after_events: 60 }); // thinking comes before the text
}

// Runs them, and ends the process, which returns 0 whatever they found: what a client left open may hold it up.
export async function runFeatures() {
  for (const [name, run] of features) {
    if (process.argv[2] && !name.includes(process.argv[2])) continue;
    let error = null;
    try {
      await run();
    } catch (thrown) {
      error = `${thrown?.stack ?? thrown} ${JSON.stringify(thrown?.cause ?? thrown?.responseBody ?? null)}`;
    }
    console.log(`FEATURE ${JSON.stringify({ feature: name, error })}`);
  }
  process.exit();
}
