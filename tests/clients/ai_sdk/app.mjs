// Vercel AI SDK: the Responses model, which is its default, the Chat model and the Completions model.
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateObject, generateText, Output, RetryError, stepCountIs, streamObject, streamText } from "ai";
import { tool, ToolLoopAgent, uploadFile } from "ai";
import { z } from "zod";
import { ASK as ask, assert, feature, PDF, PNG, runFeatures, simulate, stalled, thrownBy } from "./features.mjs";

const openai = createOpenAI({});
const tools = {
  get_weather: tool({
    description: "Weather.", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}`,
  }),
};
const schema = z.object({ name: z.string(), age: z.number() });
const once = { maxRetries: 0, include: { requestBody: true } };
const parts = async (stream) => {
  const found = [];
  for await (const part of stream.fullStream) found.push(part);
  return found;
};

for (const [name, model] of [["chat", openai.chat("gpt-5")], ["responses", openai("gpt-5")]]) {
  feature(`${name}: text`, async () => {
    const made = await generateText({ model, ...once, system: "Be brief.", prompt: "Hello." });
    assert(made.text.includes("Hello.") && made.finishReason === "stop", made.text);
    assert(made.usage.totalTokens > 0, made.usage);
  });

  feature(`${name}: stream`, async () => {
    const stream = streamText({ model, ...once, prompt: "Hello.", onError: ({ error }) => { throw error; } });
    let text = "";
    for await (const delta of stream.textStream) text += delta;
    assert(text.includes("Hello.") && (await stream.finishReason) === "stop", text);
  });

  feature(`${name}: tools over three turns`, async () => {
    const messages = [];
    for (let turn = 0; turn < 3; turn++) {
      messages.push({ role: "user", content: ask });
      const made = await generateText({ model, ...once, tools, stopWhen: stepCountIs(4), messages });
      assert(made.steps.length === 2 && made.text.includes("sunny in"), made.text);
      messages.push(...made.responseMessages);
    }
  });

  feature(`${name}: tools, streamed`, async () => {
    const stream = streamText({ model, ...once, tools, stopWhen: stepCountIs(4), prompt: ask });
    const seen = new Set();
    for await (const part of stream.fullStream) {
      seen.add(part.type);
      if (part.type === "error") throw part.error;
    }
    assert(seen.has("tool-call") && seen.has("tool-result"), [...seen]);
    assert((await stream.text).includes("sunny in"), await stream.text);
  });

  feature(`${name}: a forced tool`, async () => {
    const made = await generateText({ model, ...once, tools, toolChoice: { type: "tool", toolName: "get_weather" }, prompt: "Hello." });
    assert(made.toolCalls[0]?.toolName === "get_weather", made.content);
  });

  feature(`${name}: structured output`, async () => {
    const made = await generateObject({ model, ...once, schema, prompt: "Ada, 36." });
    assert(typeof made.object.name === "string", made.object);
  });

  feature(`${name}: structured output, streamed`, async () => {
    const stream = streamObject({ model, ...once, schema, prompt: "Ada, 36.", onError: () => {} });
    for await (const partial of stream.partialObjectStream) assert(typeof partial === "object", partial);
    assert(typeof (await stream.object).age === "number", "object");
  });

  feature(`${name}: structured output, with tools`, async () => {
    const made = await generateText({ model, ...once, tools, output: Output.object({ schema }), stopWhen: stepCountIs(4), prompt: ask });
    assert(typeof made.output.name === "string", made.text);
  });

  feature(`${name}: parallel tools`, async () => {
    const other = tool({ description: "Time.", inputSchema: z.object({ city: z.string() }), execute: async () => "noon" });
    const prompt = "Use get_weather and get_time for Paris, please.";
    const made = await generateText({ model, ...once, tools: { ...tools, get_time: other }, stopWhen: stepCountIs(4), prompt });
    assert(made.steps[0].toolCalls.length === 2 && made.steps.length === 2, made.steps);
    assert(made.text.includes("sunny in") && made.text.includes("noon"), made.text);
  });

  for (const [what, file, seen] of [
    ["image", { mediaType: "image/png", data: PNG }, "sent an image"],
    ["PDF", { mediaType: "application/pdf", data: PDF, filename: "page.pdf" }, "sent a document"],
  ]) {
    feature(`${name}: ${what}`, async () => {
      const content = [{ type: "text", text: "Look." }, { type: "file", ...file }];
      const made = await generateText({ model, ...once, messages: [{ role: "user", content }] });
      assert(made.text.includes(seen), made.text);
    });
  }

  feature(`${name}: errors`, async () => {
    const tooLong = { status: 400, error: { message: "prompt is too long: 215000 tokens > 200000 maximum" } };
    const error = await thrownBy(generateText({ model, ...once, prompt: simulate("Hello.", tooLong) }));
    assert(APICallError.isInstance(error) && error.statusCode === 400 && !error.isRetryable, `${error}`);
    assert(error.data.error.code === "context_length_exceeded", error.data);
  });

  feature(`${name}: rate limit, and retry`, async () => {
    const limited = { status: 429, headers: { "retry-after-ms": "10" }, error: { message: "Too many requests." } };
    const made = await generateText({ model, maxRetries: 3, prompt: simulate("Hello.", { ...limited, times: 3 }) });
    assert(made.text.includes("Hello."), made.text);
    const error = await thrownBy(generateText({ model, maxRetries: 1, prompt: simulate("Hello.", limited) }));
    assert(RetryError.isInstance(error) && error.lastError.statusCode === 429, `${error}`);
  });

  feature(`${name}: an error in the middle of a stream is a part of it`, async () => {
    const overloaded = { error_after_events: 8, error: { type: "overloaded_error", message: "Overloaded" } };
    const found = await parts(streamText({ model, ...once, prompt: simulate("Hello.", overloaded), onError: () => {} }));
    const failed = found.find((part) => part.type === "error");
    assert(JSON.stringify([failed.error, `${failed.error}`]).includes("overloaded"), found);
    assert(found.find((part) => part.type === "finish").finishReason === "error", found.at(-1));
  });

  feature(`${name}: a stream is left`, async () => {
    const leaving = new AbortController();
    const stream = streamText({ model, ...once, prompt: stalled(), abortSignal: leaving.signal });
    let last;
    for await (last of stream.fullStream) if (last.type === "text-delta") leaving.abort();
    assert(last.type === "abort", last);
  });

  feature(`${name}: a whole answer is left`, async () => {
    const error = await thrownBy(generateText({ model, ...once, prompt: stalled(), abortSignal: AbortSignal.timeout(300) }));
    assert(["AbortError", "TimeoutError"].includes(error.name), `${error}`);
  });
}

feature("responses: reasoning comes, and goes back by item_reference", async () => {
  const options = { model: openai("gpt-5"), ...once, tools, providerOptions: { openai: { reasoningSummary: "auto", reasoningEffort: "high" } } };
  const first = await generateText({ ...options, stopWhen: stepCountIs(4), prompt: ask });
  const sent = JSON.stringify(first.steps[1].request.body);
  assert(sent.includes("item_reference"), sent);
  assert(first.steps[0].reasoning.length > 0, first.steps[0].content);
});

feature("responses: without the store, by encrypted reasoning", async () => {
  const providerOptions = { openai: { store: false, reasoningSummary: "auto", include: ["reasoning.encrypted_content"] } };
  const made = await generateText({ model: openai("gpt-5"), ...once, tools, providerOptions, stopWhen: stepCountIs(4), prompt: ask });
  assert(made.text.includes("sunny in"), made.text);
  assert(JSON.stringify(made.steps[1].request.body).includes("encrypted_content"), made.steps[1].request.body);
});

feature("responses: web search, with sources", async () => {
  const made = await generateText({
    model: openai("gpt-5"), ...once, tools: { web_search: openai.tools.webSearch({}) }, prompt: "Use web_search, please.",
  });
  assert(made.sources.length > 0, made.content);
});

feature("responses: reasoning, streamed", async () => {
  const providerOptions = { openai: { reasoningSummary: "auto", reasoningEffort: "high" } };
  const found = await parts(streamText({ model: openai("gpt-5"), ...once, prompt: "Hello.", providerOptions }));
  const thought = found.filter((part) => part.type === "reasoning-delta").map((part) => part.text).join("");
  assert(thought.includes("The user says") && found.at(-1).finishReason === "stop", found);
});

feature("responses: two turns by previousResponseId", async () => {
  const model = openai("gpt-5");
  const first = await generateText({ model, ...once, prompt: "I am Ada." });
  const previousResponseId = first.providerMetadata.openai.responseId;
  const second = await generateText({ model, ...once, prompt: "Hello.", providerOptions: { openai: { previousResponseId } } });
  assert(second.text.includes("Hello."), second.text);
  assert(second.usage.inputTokens > first.usage.inputTokens, second.usage);
});

feature("responses: web search, streamed", async () => {
  const webSearch = { web_search: openai.tools.webSearch({}) };
  const found = await parts(streamText({ model: openai("gpt-5"), ...once, tools: webSearch, prompt: "Use web_search, please." }));
  for (const type of ["tool-call", "tool-result", "source"]) assert(found.some((part) => part.type === type), found);
  assert(found.every((part) => part.type !== "tool-call" || part.providerExecuted), found);
});

for (const [name, made, input, output] of [
  ["apply_patch", openai.tools.applyPatch({ execute: async () => ({ status: "completed", output: "patched" }) }),
    { operation: { type: "update_file", path: "a.txt", diff: "@@\n-a\n+b\n" } }, "patched"],
  ["shell", openai.tools.shell({ execute: async () => ({ output: [{ stdout: "listed", stderr: "", outcome: { type: "exit", exitCode: 0 } }] }) }),
    { commands: ["ls"] }, "listed"],
  ["local_shell", openai.tools.localShell({ execute: async () => ({ output: "listed" }) }), { command: ["ls"], env: {} }, "listed"],
  ["run_code", openai.tools.customTool({ description: "Runs code.", execute: async () => "ran" }), { input: "1 + 1" }, "ran"],
]) {
  feature(`responses: the tool ${name}, run here, in two steps`, async () => {
    const prompt = simulate("Hello.", { content: [{ type: "tool_use", name, input }] });
    const done = await generateText({ model: openai("gpt-5.1"), ...once, tools: { [name]: made }, stopWhen: stepCountIs(4), prompt });
    assert(done.steps.length === 2 && done.steps[0].toolCalls[0].toolName === name, done.steps);
    assert(done.text.includes(output), done.text);
  });
}

feature("responses: code interpreter", async () => {
  const codeInterpreter = { code_interpreter: openai.tools.codeInterpreter() };
  const asked = { model: openai("gpt-5"), ...once, tools: codeInterpreter, prompt: "Use code_interpreter, please." };
  const made = await generateText(asked);
  const [call] = made.toolCalls;
  assert(call.providerExecuted && made.toolResults[0].output.outputs.length > 0, made.content);
  const found = await parts(streamText(asked));
  for (const type of ["tool-call", "tool-result", "text-delta"]) assert(found.some((part) => part.type === type), found);
});

feature("responses: a remote MCP server", async () => {
  const server = { serverLabel: "docs", serverUrl: "https://mcp.example.com/mcp", requireApproval: "never" };
  const asked = { model: openai("gpt-5"), ...once, tools: { docs: openai.tools.mcp(server) }, prompt: "Use docs, please." };
  const made = await generateText(asked);
  assert(made.toolCalls[0].providerExecuted && made.toolResults[0].output.serverLabel === "docs", made.content);
  const found = await parts(streamText(asked));
  for (const type of ["tool-call", "tool-result", "text-delta"]) assert(found.some((part) => part.type === type), found);
});

feature("responses: an uploaded file", async () => {
  const uploaded = await uploadFile({ api: openai, data: PDF, mediaType: "application/pdf", filename: "page.pdf" });
  const data = { type: "reference", reference: uploaded.providerReference };
  const content = [{ type: "text", text: "Read." }, { type: "file", mediaType: "application/pdf", data }];
  const made = await generateText({ model: openai("gpt-5"), ...once, messages: [{ role: "user", content }] });
  assert(made.text.includes("sent a document"), made.text);
});

feature("responses: an agent", async () => {
  const agent = new ToolLoopAgent({ model: openai("gpt-5"), instructions: "Be brief.", tools });
  const made = await agent.generate({ prompt: ask });
  assert(made.text.includes("sunny in"), made.text);
});

feature("completions: generateText, streamText", async () => {
  const model = openai.completion("gpt-3.5-turbo-instruct");
  const made = await generateText({ model, ...once, prompt: "Once upon a time", maxOutputTokens: 50 });
  assert(made.text, made.content);
  const found = await parts(streamText({ model, ...once, prompt: "Once upon a time", maxOutputTokens: 50 }));
  assert(found.some((part) => part.type === "text-delta") && found.at(-1).type === "finish", found);
});

await runFeatures();
