// An MCP server over standard input and output with one tool, for Codex to find and to call.
import { createInterface } from "node:readline";

const inputSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", description: "Tells the weather of a city.", inputSchema }];
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "weather", version: "1" } }),
  "tools/list": () => ({ tools }),
  "tools/call": ({ arguments: { city } }) => ({ content: [{ type: "text", text: `sunny in ${city}` }] }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: answers[method]?.(params ?? {}) ?? {} }));
}
