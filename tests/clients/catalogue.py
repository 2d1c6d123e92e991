"""The foreign clients, and what of them does not work and why."""

from tests.clients.client_program import Client

CLIENTS = (
    Client("openai_1", "openai-python, 1.x", "openai", "../shared/openai_python.py"),
    Client("openai_2", "openai-python, 2.x", "openai", "../shared/openai_python.py"),
    Client("openai_agents", "OpenAI Agents SDK", "openai-agents"),
    Client("langchain", "LangChain", "langchain-openai"),
    Client("llama_index", "LlamaIndex", "llama-index-llms-openai"),
    Client("pydantic_ai", "Pydantic AI", "pydantic-ai-slim"),
    Client("instructor", "instructor", "instructor"),
    Client("dspy", "DSPy", "dspy"),
    Client("litellm", "LiteLLM", "litellm"),
    Client("llm", "llm", "llm"),
    Client("openai_node", "openai-node", "openai", "app.mjs"),
    Client("ai_sdk", "Vercel AI SDK", "ai", "app.mjs"),
    Client("codex", "Codex CLI", "@openai/codex", "app.mjs"),
    Client("anthropic", "Anthropic SDK", "anthropic", ways=("base_url",)),  # the endpoint alone serves Claude's API
    Client("llm_comply", "llm-comply", "llm-comply", ways=("base_url",)),  # it reads no proxy from its environment
)

KNOWN_GAPS: dict[tuple[str, str], str] = {
    ("llama_index", "responses: structured output, streamed"): (
        "LlamaIndex looks for streamed calls where only its Chat model puts them"
    ),
}
"""(folder of the client, feature): why it does not work. A gap that closes fails the test, until it is taken out."""
