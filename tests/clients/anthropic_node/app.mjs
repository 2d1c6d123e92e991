// The Anthropic SDK on the same port: Claude's own API, forwarded as it is.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { ASK, assert, feature, PDF, PNG, runFeatures, simulate, stalled, thrownBy } from "./features.mjs";

const baseURL = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey: process.env.OPENAI_API_KEY, maxRetries: 0, timeout: 20_000 });
const model = "claude-sonnet-5-5";
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = ["get_weather", "get_time"].map((name) => ({ name, description: "Of a city.", input_schema }));

const user = (content) => ({ role: "user", content });
const asked = (content, options) => ({ model, max_tokens: 2000, messages: [user(content)], ...options });
const create = (content, options) => client.messages.create(asked(content, options));
const calls = (message) => message.content.filter((block) => block.type === "tool_use");

feature("messages: text", async () => {
  const { data: message, request_id } = await create("Hello.", { system: "Be brief." }).withResponse();
  assert(message.content.at(-1).text.includes("Hello.") && message.stop_reason === "end_turn", message);
  assert(message.usage.output_tokens > 0 && request_id, message);
});

feature("messages: stream", async () => {
  const stream = client.messages.stream(asked("Hello."));
  let deltas = "";
  stream.on("text", (delta) => (deltas += delta));
  assert(deltas === "" && (await stream.finalText()) === deltas && deltas.includes("Hello."), deltas);
});

feature("messages: tools over three turns", async () => {
  const messages = [];
  for (let turn = 0; turn < 3; turn++) {
    messages.push(user(ASK));
    const called = await client.messages.create({ model, max_tokens: 2000, messages, tools });
    assert(called.stop_reason === "tool_use" && called.content[0].type === "thinking", called);
    const results = calls(called).map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "sunny" }));
    messages.push({ role: "assistant", content: called.content }, user(results));
    const answered = await client.messages.create({ model, max_tokens: 2000, messages, tools });
    assert(answered.content.at(-1).text.includes("sunny"), answered);
    messages.push({ role: "assistant", content: answered.content });
  }
});

feature("messages: tools, streamed, run by toolRunner", async () => {
  const run = ({ city }) => `sunny in ${city}`;
  const runner = client.beta.messages.toolRunner({ ...asked(ASK), stream: true, tools: [{ ...tools[0], run, parse: (input) => input }] });
  const final = await runner.runUntilDone();
  assert(final.content.at(-1).text.includes("sunny in"), final);
});

feature("messages: parallel tools", async () => {
  const message = await client.messages.stream(asked("Use get_weather and get_time for Paris.", { tools })).finalMessage();
  assert(calls(message).map((call) => call.name).join() === "get_weather,get_time", message);
  assert(calls(message).every((call) => typeof call.input.city === "string"), message);
});

feature("messages: structured output", async () => {
  const format = zodOutputFormat(z.object({ name: z.string(), age: z.number() }));
  const made = await client.messages.parse(asked("Ada, 36.", { output_config: { format } }));
  assert(typeof made.parsed_output.name === "string" && typeof made.parsed_output.age === "number", made);
});

for (const [name, type, media_type, data, seen] of [
  ["image", "image", "image/png", PNG, "sent an image"],
  ["PDF", "document", "application/pdf", PDF, "sent a document"],
]) {
  feature(`messages: ${name}`, async () => {
    const source = { type: "base64", media_type, data: data.toString("base64") };
    const message = await create([{ type: "text", text: "Look." }, { type, source }]);
    assert(message.content.at(-1).text.includes(seen), message);
  });
}

feature("messages: errors", async () => {
  const error = await thrownBy(create([]));
  assert(error instanceof Anthropic.BadRequestError && error.type === "invalid_request_error" && error.requestID, `${error}`);
  const unknown = await thrownBy(create("Hello.", { model: "claude-0" }));
  assert(unknown instanceof Anthropic.NotFoundError, `${unknown}`);
});

feature("messages: an error in the middle of a stream", async () => {
  const overloaded = { error_after_events: 8, error: { type: "overloaded_error", message: "Overloaded" } };
  const error = await thrownBy(client.messages.stream(asked(simulate("Hello.", overloaded))).finalMessage());
  assert(error instanceof Anthropic.APIError && error.type === "overloaded_error", `${error}`);
});

feature("messages: rate limit, and retry", async () => {
  const limited = { status: 429, times: 2, headers: { "retry-after-ms": "10" }, error: { message: "Too many requests." } };
  const told = await thrownBy(create(simulate("Hello.", limited)));
  assert(told instanceof Anthropic.RateLimitError && told.headers.get("retry-after-ms") === "10", `${told}`);
  const message = await client.messages.create(asked(simulate("Hello.", limited)), { maxRetries: 2 });
  assert(message.content.at(-1).text.includes("Hello."), message);
});

feature("messages: a stream is left", async () => {
  const stream = await client.messages.create({ ...asked(stalled()), stream: true });
  for await (const event of stream) if (event.delta?.type === "text_delta") break;
  assert(stream.controller.signal.aborted, "aborted");
});

feature("messages: count_tokens", async () => {
  const counted = await client.messages.countTokens({ model, messages: [user("Hello.")], tools });
  assert(counted.input_tokens > 0, counted);
});

feature("models: list, retrieve", async () => {
  const ids = [];
  for await (const found of client.models.list()) ids.push(found.id);
  assert(ids.includes(model) && (await client.models.retrieve(model)).id === model, ids);
});

await runFeatures();
