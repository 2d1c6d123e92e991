// openai-node: Chat Completions, Responses, conversations, files, legacy completions, errors, retries, leaving early.
import OpenAI, { toFile } from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ASK, assert, feature, PDF_URL, PNG, PNG_URL, runFeatures, simulate, stalled, thrownBy } from "./features.mjs";

const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const model = "gpt-5";
const Person = z.object({ name: z.string(), age: z.number() });
const notes = `data:text/plain;base64,${Buffer.from("Notes.").toString("base64")}`;
const City = z.object({ city: z.string() });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

const says = (content) => [{ role: "user", content }];
const chat = (body, options) => client.chat.completions.create({ model, ...body }, options);
const respond = (body, options) => client.responses.create({ model, ...body }, options);
const chatTool = (name) => ({ type: "function", function: { name, description: "Of a city.", parameters, strict: true } });
const responseTool = (name) => ({ type: "function", name, description: "Of a city.", parameters, strict: true });

async function untilEnded(response) {
  while (["queued", "in_progress"].includes(response.status)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    response = await client.responses.retrieve(response.id);
  }
  return response;
}

feature("chat: text", async () => {
  const { data: made, request_id } = await chat({ messages: says("Hello.") }).withResponse();
  assert(made.choices[0].message.content.includes("Hello."), made);
  assert(made.choices[0].finish_reason === "stop" && made.usage.total_tokens > 0 && made.model === model, made);
  assert(request_id && made._request_id === request_id, request_id);
});

feature("chat: stream", async () => {
  const stream = client.chat.completions.stream({ model, messages: says("Hello."), stream_options: { include_usage: true } });
  let deltas = "";
  stream.on("content", (delta) => (deltas += delta));
  const final = await stream.finalChatCompletion();
  assert(deltas && deltas === final.choices[0].message.content, final);
  assert((await stream.totalUsage()).total_tokens > 0, "usage");
});

feature("chat: tools over three turns", async () => {
  const tools = ["get_weather", "get_time"].map(chatTool);
  const messages = [];
  for (let turn = 0; turn < 3; turn++) {
    messages.push(...says(ASK));
    const { message, finish_reason } = (await chat({ messages, tools })).choices[0];
    assert(finish_reason === "tool_calls" && message.tool_calls.length === 1, message);
    const [call] = message.tool_calls;
    assert(call.function.name === "get_weather" && "city" in JSON.parse(call.function.arguments), call);
    messages.push(message, { role: "tool", tool_call_id: call.id, content: "sunny" });
    const after = (await chat({ messages, tools })).choices[0].message;
    assert(after.content.includes("sunny"), after);
    messages.push(after);
  }
});

feature("chat: parallel tools", async () => {
  const tools = ["get_weather", "get_time"].map(chatTool);
  const messages = says("Use get_weather and get_time for Paris, please.");
  const { message } = (await chat({ messages, tools })).choices[0];
  assert(message.tool_calls.map((call) => call.function.name).sort().join() === "get_time,get_weather", message);
  const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: `${call.function.name} is known` }));
  const after = (await chat({ messages: [...messages, message, ...results], tools })).choices[0].message;
  assert(after.content.includes("get_weather is known") && after.content.includes("get_time is known"), after);
  const one = (await chat({ messages, tools, parallel_tool_calls: false })).choices[0].message;
  assert(one.tool_calls.length === 1, one);
});

feature("chat: tools, streamed, run by runTools", async () => {
  const run = { ...chatTool("get_weather").function, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` };
  const runner = client.chat.completions.runTools({
    model, stream: true, messages: says("Use get_weather for Paris, please."), tools: [{ type: "function", function: run }],
  });
  const text = await runner.finalContent();
  assert(text.includes("sunny in"), text);
});

feature("chat: a function by zod", async () => {
  const tools = [zodFunction({ name: "get_weather", parameters: City })];
  const made = await client.chat.completions.parse({ model, messages: says("Use get_weather for Paris, please."), tools });
  assert(typeof made.choices[0].message.tool_calls[0].function.parsed_arguments.city === "string", made);
});

feature("chat: structured output", async () => {
  const asked = { model, messages: says("Ada, 36."), response_format: zodResponseFormat(Person, "person") };
  const made = await client.chat.completions.parse(asked);
  assert(typeof made.choices[0].message.parsed.name === "string", made);
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
  assert(typeof streamed.choices[0].message.parsed.age === "number", streamed);
});

for (const [name, part, seen] of [
  ["image", { type: "image_url", image_url: { url: PNG_URL } }, "sent an image"],
  ["PDF", { type: "file", file: { filename: "page.pdf", file_data: PDF_URL } }, "sent a document"],
  ["a text file", { type: "file", file: { filename: "notes.txt", file_data: notes } }, "sent a document"],
]) {
  feature(`chat: ${name}`, async () => {
    const made = await chat({ messages: says([{ type: "text", text: "Look." }, part]) });
    assert(made.choices[0].message.content.includes(seen), made);
  });
}

feature("chat: stored completions", async () => {
  const made = await chat({ messages: says("Hello."), store: true, metadata: { job: "node" } });
  assert((await client.chat.completions.retrieve(made.id)).choices[0].message.content, made);
  const found = [];
  for await (const stored of client.chat.completions.list({ metadata: { job: "node" } })) found.push(stored.id);
  assert(found.includes(made.id), found);
  const kept = [];
  for await (const message of client.chat.completions.messages.list(made.id)) kept.push(message.content);
  assert(kept.join() === "Hello.", kept);
  const changed = await client.chat.completions.update(made.id, { metadata: { job: "done" } });
  assert(changed.metadata.job === "done", changed);
  assert((await client.chat.completions.delete(made.id)).deleted, made.id);
});

feature("completions: text, whole and streamed", async () => {
  const asked = { model: "gpt-3.5-turbo-instruct", prompt: "Once upon a time", max_tokens: 50 };
  const made = await client.completions.create(asked);
  assert(made.choices[0].text, made);
  let text = "";
  for await (const chunk of await client.completions.create({ ...asked, stream: true })) text += chunk.choices[0]?.text ?? "";
  assert(text, text);
});

feature("models: list, retrieve", async () => {
  const ids = [];
  for await (const found of client.models.list()) ids.push(found.id);
  assert(ids.length > 0, ids);
  assert((await client.models.retrieve(ids[0])).id === ids[0], ids);
});

feature("responses: text", async () => {
  const made = await respond({ input: "Hello.", instructions: "Be brief." });
  assert(made.status === "completed" && made.output_text.includes("Hello."), made);
});

feature("responses: stream", async () => {
  const stream = client.responses.stream({ model, input: "Hello.", reasoning: { effort: "medium", summary: "auto" } });
  let [deltas, thoughts] = ["", ""];
  stream.on("response.output_text.delta", (event) => (deltas += event.delta));
  stream.on("response.reasoning_summary_text.delta", (event) => (thoughts += event.delta));
  const final = await stream.finalResponse();
  assert(deltas && deltas === final.output_text, final);
  assert(final.output[0].type === "reasoning" && thoughts === final.output[0].summary[0].text, final);
});

feature("responses: tools over three turns", async () => {
  const tools = ["get_weather", "get_time"].map(responseTool);
  let previous_response_id;
  for (let turn = 0; turn < 3; turn++) {
    const first = await respond({ previous_response_id, input: ASK, tools });
    const call = first.output.find((item) => item.type === "function_call");
    assert(call.name === "get_weather" && "city" in JSON.parse(call.arguments), call);
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const second = await respond({ previous_response_id: first.id, input: [result], tools });
    assert(second.output_text.includes("sunny"), second);
    previous_response_id = second.id;
  }
});

feature("responses: parallel tools", async () => {
  const tools = ["get_weather", "get_time"].map(responseTool);
  const kept = { tools, store: false, include: ["reasoning.encrypted_content"], reasoning: { effort: "high" } };
  const input = says("Use get_weather and get_time for Paris, please.");
  const first = await respond({ input, ...kept });
  const calls = first.output.filter((item) => item.type === "function_call");
  assert(calls.length === 2 && first.output.some((item) => item.type === "reasoning"), first);
  const results = calls.map((call) => ({ type: "function_call_output", call_id: call.call_id, output: `${call.name} is known` }));
  const second = await respond({ input: [...input, ...first.output, ...results], ...kept });
  assert(second.output_text.includes("get_weather is known") && second.output_text.includes("get_time is known"), second);
});

feature("responses: a custom tool, streamed", async () => {
  const tools = [{ type: "custom", name: "run_code", description: "Runs code." }];
  const final = await client.responses.stream({ model, input: "Use run_code, please.", tools }).finalResponse();
  const call = final.output.find((item) => item.type === "custom_tool_call");
  assert(call.name === "run_code" && typeof call.input === "string", final);
});

feature("responses: a function by zod, parsed", async () => {
  const tools = [zodResponsesFunction({ name: "get_weather", parameters: City })];
  const made = await client.responses.parse({ model, input: "Use get_weather for Paris, please.", tools });
  const call = made.output.find((item) => item.type === "function_call");
  assert(typeof call.parsed_arguments.city === "string", made);
});

feature("responses: structured output", async () => {
  const asked = { model, input: "Ada, 36.", text: { format: zodTextFormat(Person, "person") } };
  const made = await client.responses.parse(asked);
  assert(typeof made.output_parsed.name === "string", made);
  const streamed = await client.responses.stream(asked).finalResponse();
  assert(typeof streamed.output_parsed.age === "number", streamed);
});

feature("responses: web search, with citations", async () => {
  const made = await respond({ input: "Use web_search, please.", tools: [{ type: "web_search" }] });
  assert(made.output.some((item) => item.type === "web_search_call"), made);
  const [message] = made.output.filter((item) => item.type === "message");
  assert(message.content.some((part) => part.annotations.some((found) => found.type === "url_citation")), message);
});

for (const [name, part, seen] of [
  ["image", { type: "input_image", image_url: PNG_URL, detail: "auto" }, "sent an image"],
  ["PDF", { type: "input_file", filename: "page.pdf", file_data: PDF_URL }, "sent a document"],
  ["a text file", { type: "input_file", filename: "notes.txt", file_data: notes }, "sent a document"],
]) {
  feature(`responses: ${name}`, async () => {
    const made = await respond({ input: says([{ type: "input_text", text: "Look." }, part]) });
    assert(made.output_text.includes(seen), made);
  });
}

feature("responses: retrieve, input items, delete", async () => {
  const made = await respond({ input: "Hello." });
  assert((await client.responses.retrieve(made.id)).output_text === made.output_text, made);
  let items = 0;
  for await (const item of client.responses.inputItems.list(made.id)) items += item.type === "message" ? 1 : 0;
  assert(items === 1, items);
  await client.responses.delete(made.id);
  const error = await thrownBy(client.responses.retrieve(made.id));
  assert(error instanceof OpenAI.NotFoundError, error);
});

feature("responses: in the background, polled", async () => {
  const begun = await respond({ input: "Hello.", background: true });
  assert(["queued", "in_progress"].includes(begun.status), begun);
  const ended = await untilEnded(begun);
  assert(ended.status === "completed" && ended.output_text.includes("Hello."), ended);
});

feature("responses: in the background, streamed, left, and taken up again", async () => {
  const begun = await respond({ input: "Hello.", background: true, stream: true });
  let id, last;
  for await (const event of begun) {
    id ??= event.response?.id;
    last = event.sequence_number;
    if (event.type === "response.in_progress") break;
  }
  const rest = await client.responses.retrieve(id, { stream: true, starting_after: last });
  let [next, type] = [last, ""];
  for await (const event of rest) {
    assert(event.sequence_number === next + 1, event);
    [next, type] = [event.sequence_number, event.type];
  }
  assert(type === "response.completed", type);
});

feature("responses: in the background, cancelled", async () => {
  const begun = await respond({ input: stalled(), background: true });
  const cancelled = await client.responses.cancel(begun.id);
  assert(cancelled.status === "cancelled", cancelled);
});

feature("responses: compacted, and gone on from; tokens counted", async () => {
  const input = [...says("Hello."), { role: "assistant", content: "Hello to you." }];
  const compacted = await client.responses.compact({ model, input });
  assert(compacted.output.at(-1).type === "compaction", compacted);
  const after = await respond({ input: [...compacted.output, ...says("Goodbye.")] });
  assert(after.output_text.includes("This is a summary of the conversation"), after);
  assert((await client.responses.inputTokens.count({ model, input })).input_tokens > 0, "tokens");
});

feature("conversations: a response adds to one", async () => {
  const conversation = await client.conversations.create({ items: says("I am Ada."), metadata: { job: "node" } });
  await respond({ conversation: conversation.id, input: "Hello." });
  const roles = [];
  for await (const item of client.conversations.items.list(conversation.id, { order: "asc" })) if (item.role) roles.push(item.role);
  assert(roles.join() === "user,user,assistant", roles);
  assert((await client.conversations.retrieve(conversation.id)).metadata.job === "node", conversation);
  assert((await client.conversations.delete(conversation.id)).deleted, conversation);
});

feature("files: upload, use in both APIs, list, content, delete", async () => {
  const notes = await client.files.create({ file: await toFile(Buffer.from("Notes."), "notes.txt"), purpose: "user_data" });
  assert(notes.filename === "notes.txt" && notes.bytes === 6, notes);
  const made = await respond({ input: says([{ type: "input_text", text: "Read." }, { type: "input_file", file_id: notes.id }]) });
  assert(made.output_text.includes("sent a document"), made);
  const said = await chat({ messages: says([{ type: "text", text: "Read." }, { type: "file", file: { file_id: notes.id } }]) });
  assert(said.choices[0].message.content.includes("sent a document"), said);
  const ids = [];
  for await (const file of client.files.list({ purpose: "user_data" })) ids.push(file.id);
  assert(ids.includes(notes.id), ids);
  assert((await (await client.files.content(notes.id)).text()) === "Notes.", "content");
  assert((await client.files.delete(notes.id)).deleted, notes);
  assert((await thrownBy(client.files.retrieve(notes.id))) instanceof OpenAI.NotFoundError, "deleted");
});

feature("files: an image, uploaded", async () => {
  const file = await client.files.create({ file: await toFile(PNG, "dot.png", { type: "image/png" }), purpose: "vision" });
  const content = [{ type: "input_text", text: "Look." }, { type: "input_image", file_id: file.id, detail: "auto" }];
  const made = await respond({ input: says(content) });
  assert(made.output_text.includes("sent an image"), made);
});

const tooLong = { status: 400, error: { message: "prompt is too long: 215000 tokens > 200000 maximum" } };
const limited = { status: 429, headers: { "retry-after": "1" }, error: { message: "Too many requests." } };
for (const [name, ask, kind, expected] of [
  ["chat: errors", () => chat({ messages: [] }), OpenAI.BadRequestError, { status: 400, param: "messages" }],
  ["responses: errors", () => respond({ input: "Hello.", temperature: 3 }), OpenAI.BadRequestError, { param: "temperature" }],
  ["errors: no such response", () => client.responses.retrieve("resp_none"), OpenAI.NotFoundError, { status: 404 }],
  ["errors: no such previous response", () => respond({ input: "Hello.", previous_response_id: "resp_none" }), OpenAI.BadRequestError,
    { code: "previous_response_not_found", param: "previous_response_id" }],
  ["errors: too long, chat", () => chat({ messages: says(simulate("Hello.", tooLong)) }), OpenAI.BadRequestError,
    { code: "context_length_exceeded", param: "messages" }],
  ["errors: too long, responses", () => respond({ input: simulate("Hello.", tooLong) }), OpenAI.BadRequestError,
    { code: "context_length_exceeded", param: "input" }],
  ["errors: rate limit", () => chat({ messages: says(simulate("Hello.", limited)) }), OpenAI.RateLimitError, { code: "rate_limit_exceeded" }],
  ["errors: overload", () => respond({ input: simulate("Hello.", { status: 529, headers: { "retry-after-ms": "1" } }) }), OpenAI.InternalServerError,
    { status: 503, code: "server_is_overloaded" }],
]) {
  feature(name, async () => {
    const error = await thrownBy(ask());
    assert(error instanceof kind && error.requestID, `${error}`);
    for (const [field, value] of Object.entries(expected)) assert(error[field] === value, { field, found: error[field] });
  });
}

for (const [name, begin] of [
  ["chat", (input) => chat({ messages: says(input), stream: true })],
  ["responses", (input) => respond({ input, stream: true })],
]) {
  feature(`errors: in the middle of a stream, ${name}`, async () => {
    const overloaded = { error_after_events: 6, error: { type: "overloaded_error", message: "Overloaded" } };
    let parts = 0;
    const read = async () => {
      for await (const part of await begin(simulate("Hello.", overloaded))) parts += part ? 1 : 0;
    };
    const error = await thrownBy(read());
    assert(parts > 0 && error instanceof OpenAI.APIError && error.code === "server_is_overloaded", `${error}`);
  });
}

const passing = { ...limited, headers: { "retry-after-ms": "10" }, times: 3 };
for (const [name, ask, begin, isText] of [
  ["chat", (input, options) => chat({ messages: says(input) }, options), (input, options) => chat({ messages: says(input), stream: true }, options),
    (chunk) => chunk.choices[0]?.delta.content],
  ["responses", (input, options) => respond({ input }, options), (input, options) => respond({ input, stream: true }, options),
    (event) => event.type === "response.output_text.delta"],
]) {
  feature(`${name}: rate limit, and retry`, async () => {
    const made = await ask(simulate("Hello.", passing), { maxRetries: 3 });
    assert(JSON.stringify(made).includes("You wrote"), made);
  });

  feature(`${name}: a stream is left`, async () => {
    const stream = await begin(stalled());
    for await (const part of stream) if (isText(part)) break;
    assert(stream.controller.signal.aborted, "aborted");
  });

  feature(`${name}: a stream is aborted`, async () => {
    const controller = new AbortController();
    const stream = await begin(stalled(), { signal: controller.signal });
    for await (const part of stream) if (isText(part)) controller.abort();
  });

  feature(`${name}: a whole answer is left`, async () => {
    const error = await thrownBy(ask(stalled(), { signal: AbortSignal.timeout(300) }));
    assert(error instanceof OpenAI.APIUserAbortError, `${error}`);
  });
}

await runFeatures();
