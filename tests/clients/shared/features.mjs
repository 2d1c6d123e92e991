// What the Node programs share: each feature is a function, each result one line on standard output.
const features = [];

export function feature(name, run) {
  features.push([name, run]);
}

export function assert(holds, what) {
  if (!holds) throw new Error(`not so: ${typeof what === "string" ? what : JSON.stringify(what)}`);
}

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
}
