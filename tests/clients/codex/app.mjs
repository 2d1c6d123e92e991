// Codex CLI: `codex exec` does tasks with shell calls, patches and compactions, and meets errors.
//
// What Claude answers is scripted in the prompt, one entry for each call of a task: a request too many, or one too few,
// shows as the answer of another call. Errors are met through a provider of the configuration, which takes HTTP alone,
// so that its requests can be counted.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, feature, PNG, runFeatures, simulate, stalled } from "./features.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const codex = join(here, "node_modules", ".bin", "codex");
const baseURL = process.env.OPENAI_BASE_URL ?? "https://api.openai.com/v1";
const own = { base_url: baseURL, env_key: "OPENAI_API_KEY", wire_api: "responses" };
const ownInToml = Object.entries({ name: "Claude Proxy", ...own }).map(([key, value]) => `${key}=${JSON.stringify(value)}`);

// Codex's own OpenAI provider, which does not read OPENAI_BASE_URL; and one as users write it in their configuration.
const builtIn = process.env.OPENAI_BASE_URL ? ["-c", `openai_base_url=${JSON.stringify(baseURL)}`] : [];
const configured = ["-c", "model_provider=proxy", "-c", `model_providers.proxy={${ownInToml.join(",")}}`];
const FUNCTIONS = "gpt-5.5"; // is given a function for commands and a custom tool for patches
const CODE_MODE = "gpt-6.1-sol"; // the default: writes JavaScript, which calls the tools
const GREETING = "hello\nworld\n";
const patch = "*** Begin Patch\n*** Update File: greeting.txt\n@@\n-hello\n+good day\n*** End Patch\n";

const thought = { type: "thinking", thinking: "The file first." };
const say = (text) => ({ type: "text", text });
const use = (name, input) => ({ type: "tool_use", name, input });
const calls = {
  [FUNCTIONS]: { read: use("exec_command", { cmd: "cat greeting.txt" }), patch: use("apply_patch", { input: patch }) },
  [CODE_MODE]: {
    read: use("functions__exec", { input: "const made = await tools.exec_command({cmd: 'cat greeting.txt'}); text(made.output);" }),
    patch: use("functions__exec", { input: `text(await tools.apply_patch(${JSON.stringify(patch)}));` }),
  },
};

const providers = [["built-in provider", builtIn, [FUNCTIONS, CODE_MODE]], ["configured provider", configured, [FUNCTIONS]]];

function newFolder() {
  mkdirSync(join(homedir(), "tasks"), { recursive: true });
  const folder = mkdtempSync(join(homedir(), "tasks", "task-"));
  writeFileSync(join(folder, "greeting.txt"), GREETING);
  return folder;
}

const env = { ...process.env, RUST_LOG: "error,codex_http_client=debug" };
const given = (provider, model, ...args) =>
  ["exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", "-m", model, ...provider, ...args];

function run(folder, provider, model, ...args) {
  const ended = spawnSync(codex, given(provider, model, ...args), { cwd: folder, env, encoding: "utf8", timeout: 60_000, input: "" });
  const events = ended.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const items = events.filter((event) => event.type === "item.completed").map((event) => event.item);
  return {
    status: ended.status,
    events,
    items,
    text: items.filter((item) => item.type === "agent_message").map((item) => item.text).join("\n"),
    errors: events.filter((event) => event.type === "error").map((event) => event.message),
    posts: ended.stderr.split("\n").filter((line) => /Request (completed|failed)/.test(line) && line.includes("/responses")).length,
    log: ended.stderr,
  };
}

function assertDone(task) {
  assert(task.status === 0 && task.errors.length === 0, task);
  assert(task.events.at(-1).type === "turn.completed" && task.events.at(-1).usage.input_tokens > 1000, task);
}

for (const [name, provider, models] of providers) {
  for (const model of models) {
    const call = calls[model];

    feature(`${name}, ${model}: reads a file, patches it, answers`, async () => {
      const folder = newFolder();
      const prompt = simulate(
        "Change the greeting.", { content: [thought, say("I look."), call.read] }, { content: [call.patch] }, { text: "It is done." },
      );
      const task = run(folder, provider, model, prompt);
      assertDone(task);
      assert(readFileSync(join(folder, "greeting.txt"), "utf8") === "good day\nworld\n", task);
      assert(task.text === "I look.\nIt is done.", task);
      const command = task.items.find((item) => item.type === "command_execution");
      assert(command.aggregated_output === GREETING && command.exit_code === 0, task);
      assert(task.items.some((item) => item.type === "file_change" && item.status === "completed"), task);
    });

    feature(`${name}, ${model}: compacts, and goes on`, async () => {
      const prompt = simulate("Read the greeting.", { content: [call.read] }, { text: "The greeting says hello." }, { text: "It is done." });
      const task = run(newFolder(), provider, model, "-c", "model_auto_compact_token_limit=5000", prompt);
      assertDone(task);
      assert(task.text === "It is done.", task);
    });
  }
}

// Codex always streams: over a WebSocket to its built-in provider, as server-sent events to a configured one.
for (const [name, provider] of [["text", builtIn], ["stream", configured]]) {
  feature(`responses: ${name}`, async () => {
    const task = run(newFolder(), provider, FUNCTIONS, simulate("Hello.", { text: "Hello to you." }));
    assertDone(task);
    assert(task.text === "Hello to you.", task);
  });
}

feature("responses: tools over three turns", async () => {
  const folder = newFolder();
  const answers = [{ content: [thought, calls[FUNCTIONS].read] }, { text: "Read." }];
  assertDone(run(folder, builtIn, FUNCTIONS, simulate("Read it.", ...answers)));
  for (const later of ["And now?", "And in the end?"]) {
    const task = run(folder, builtIn, FUNCTIONS, "resume", "--last", simulate(later, ...answers));
    assertDone(task);
    assert(task.text === "Read." && task.items.some((item) => item.aggregated_output === GREETING), task);
  }
});

feature("responses: parallel tools", async () => {
  const both = ["echo one", "echo two"].map((cmd, index) => ({ id: `toolu_0${index}`, ...use("exec_command", { cmd }) }));
  const task = run(newFolder(), configured, FUNCTIONS, simulate("Say both.", { content: [thought, ...both] }, { text: "Said." }));
  assertDone(task);
  const printed = task.items.filter((item) => item.type === "command_execution").map((item) => item.aggregated_output);
  assert(printed.sort().join("") === "one\ntwo\n" && task.text === "Said.", task);
});

feature("a refusal is shown", async () => {
  const details = { type: "refusal", category: "cyber", explanation: "That is not for me." };
  const refusal = { content: [], stop_reason: "refusal", stop_details: details };
  const task = run(newFolder(), builtIn, FUNCTIONS, simulate("Go.", refusal, { text: "Asked again." }));
  assertDone(task);
  assert(task.text === "That is not for me.", task);
});

feature("responses: image", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "dot.png"), PNG);
  const task = run(folder, configured, FUNCTIONS, "--image=dot.png", "Look.");
  assertDone(task);
  assert(task.text.includes("sent an image"), task);
});

feature("an image that a tool shows", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "dot.png"), PNG);
  const shown = run(folder, configured, FUNCTIONS, simulate("Look.", { content: [use("view_image", { path: "dot.png" })] }));
  assertDone(shown);
  assert(shown.text.includes('The tools answered: "image"'), shown);
});

feature("a web search", async () => {
  const task = run(newFolder(), configured, FUNCTIONS, "Use web_search, please.");
  assertDone(task);
  assert(task.items.some((item) => item.type === "web_search") && task.text.includes("example.com"), task);
});

feature("a tool of an MCP server, which the model searches first", async () => {
  const server = `mcp_servers.weather={command="node",args=[${JSON.stringify(join(here, "weather_server.mjs"))}]}`;
  const search = use("tool_search", { query: "weather of a city" });
  const call = use("mcp__weather__get_weather", { city: "Paris" });
  const prompt = simulate("What is the weather in Paris?", { content: [search] }, { content: [call] });
  const task = run(newFolder(), configured, FUNCTIONS, "-c", server, prompt);
  assertDone(task);
  assert(task.items.some((item) => item.type === "mcp_tool_call" && item.status === "completed"), task);
  assert(task.text.includes("sunny in Paris"), task);
});

feature("an agent that Codex starts gets its task, and is heard", async () => {
  // The task scripts the agent's answer, and that what is answered to it: so both have to arrive.
  const report = { text: simulate("There is one file.", { text: "One file, says the agent." }) };
  const spawn = { task_name: "counting", message: simulate("Count the files.", report), fork_turns: "none" };
  const wait = { timeout_ms: 20_000 };
  const prompt = simulate(
    "Have the files counted.",
    { content: [use("collaboration__spawn_agent", spawn)] },
    { content: [use("collaboration__wait_agent", wait)] },
  );
  const task = run(newFolder(), builtIn, CODE_MODE, prompt);
  assertDone(task);
  assert(task.text === "One file, says the agent.", task);
});

feature("responses: structured output", async () => {
  const folder = newFolder();
  const properties = { name: { type: "string" }, age: { type: "integer" } };
  const schema = { type: "object", properties, required: ["name", "age"], additionalProperties: false };
  writeFileSync(join(folder, "schema.json"), JSON.stringify(schema));
  const task = run(folder, configured, FUNCTIONS, "--output-schema", "schema.json", "Ada, 36.");
  assertDone(task);
  assert(Number.isInteger(JSON.parse(task.text).age), task);
});

const soon = { "retry-after-ms": "1" };
const limited = { status: 429, headers: soon, error: { message: "This request would exceed your rate limit." } };
const overloaded = { status: 529, headers: soon };
const tooLong = { status: 400, error: { message: "prompt is too long: 215000 tokens > 200000 maximum" } };
const broke = { status: 400, error: { message: "Your credit balance is too low to access the Anthropic API." } };
const cut = { text: "Half a", stop_reason: "max_tokens" };

feature("responses: rate limit, and retry", async () => {
  const task = run(newFolder(), configured, FUNCTIONS, simulate("Go.", limited, { text: "Done." }));
  assert(task.status === 0 && task.text === "Done." && task.posts === 2, task);
});

feature("responses: a stream is left", async () => {
  const running = spawn(codex, given(configured, FUNCTIONS, stalled()), { cwd: newFolder(), env, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  for await (const piece of running.stderr) {
    log += piece;
    if (/Request completed.*\/responses/.test(log)) break; // the answer has begun
  }
  running.kill("SIGINT");
  assert(log.includes("Request completed"), log);
});

// So often Codex asks.
for (const [name, answer, posts, shown] of [
  ["errors: a rate limit that stays", { ...limited, times: 18 }, 6, /last status: 429/],
  ["errors: an overload that stays", { ...overloaded, times: 15 }, 5, /at capacity/],
  ["responses: errors", tooLong, 1, /ran out of room in the model's context window/],
  ["errors: a spent budget", broke, 1, /Quota exceeded/],
  ["errors: an answer that was cut", cut, 1, /max_output_tokens/],
]) {
  feature(name, async () => {
    const task = run(newFolder(), configured, FUNCTIONS, simulate("Go.", answer, { text: "Asked once too often." }));
    assert(task.status === 1 && task.events.at(-1).type === "turn.failed", task);
    assert(shown.test(task.events.at(-1).error.message) && task.posts === posts, task);
  });
}

await runFeatures();
