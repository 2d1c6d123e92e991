"""The foreign clients, what of them does not work, what they cannot do, and why."""

from tests.clients.client_program import Client

BOTH = ("chat", "responses")

CLIENTS = (
    Client("openai_1", "openai-python, 1.x", "openai", BOTH, "../shared/openai_python.py"),
    Client("openai_2", "openai-python, 2.x", "openai", BOTH, "../shared/openai_python.py"),
    Client("openai_3", "openai-python, 3.x", "openai", BOTH, "../shared/openai_python.py"),
    Client("openai_agents", "OpenAI Agents SDK", "openai-agents", BOTH),
    Client("langchain", "LangChain", "langchain-openai", BOTH),
    Client("llama_index", "LlamaIndex", "llama-index-llms-openai", BOTH),
    Client("pydantic_ai", "Pydantic AI", "pydantic-ai-slim", BOTH),
    Client("instructor", "instructor", "instructor", BOTH),
    Client("dspy", "DSPy", "dspy", BOTH),
    Client("litellm", "LiteLLM", "litellm", (*BOTH, "chat, by the bridge to responses", "messages")),
    Client("llm", "llm", "llm", BOTH),
    Client("openai_node", "openai-node", "openai", BOTH, "app.mjs"),
    Client("ai_sdk", "Vercel AI SDK", "ai", BOTH, "app.mjs"),
    Client("codex", "Codex CLI", "@openai/codex", ("responses",), "app.mjs"),
    Client("aider", "aider", "aider-chat", ("chat",)),
    Client("anthropic", "Anthropic SDK, Python", "anthropic", ("messages",), ways=("base_url",)),
    Client("anthropic_node", "Anthropic SDK, TypeScript", "@anthropic-ai/sdk", ("messages",), "app.mjs", ("base_url",)),
    Client("llm_comply", "llm-comply", "llm-comply", ways=("base_url",)),  # it reads no proxy from its environment
)

KNOWN_GAPS: dict[tuple[str, str], str] = {
    ("llama_index", "responses: structured output, streamed"): (
        "LlamaIndex looks for streamed calls where only its Chat model puts them"
    ),
}
"""(folder of the client, feature): why it does not work. A gap that closes fails the test, until it is taken out."""

NO_LOOP = "instructor makes objects from a single answer, and runs no tools"
NO_STREAM = "DSPy streams only Chat Completions"
NO_TOOLS = "aider calls no tools: its edits are text, in its own formats"

CANNOT: dict[tuple[str, str], str] = {
    ("instructor", "chat: tools over three turns"): NO_LOOP,
    ("instructor", "responses: tools over three turns"): NO_LOOP,
    ("instructor", "responses: parallel tools"): "instructor has a mode for parallel tools only in Chat Completions",
    ("dspy", "responses: stream"): NO_STREAM,
    ("dspy", "responses: a stream is left"): NO_STREAM,
    ("codex", "responses: PDF"): "Codex attaches only images",
    ("aider", "chat: tools over three turns"): NO_TOOLS,
    ("aider", "chat: parallel tools"): NO_TOOLS,
    ("aider", "chat: structured output"): "aider asks for no structured output",
    ("aider", "chat: PDF"): "aider sends a PDF as an image, which OpenAI's API refuses too",
}
"""(folder of the client, feature of the matrix): why the client has no such thing, so that its program tries none."""
