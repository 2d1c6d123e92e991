"""The foreign clients, and what of them does not work and why."""

from tests.clients.client_program import Client

CLIENTS = (
    Client("openai_1", "openai-python, 1.x", "openai", "../shared/openai_python.py"),
    Client("openai_2", "openai-python, 2.x", "openai", "../shared/openai_python.py"),
    Client("openai_agents", "OpenAI Agents SDK", "openai-agents"),
    Client("llm_comply", "llm-comply", "llm-comply", ways=("base_url",)),  # it reads no proxy from its environment
)

KNOWN_GAPS: dict[tuple[str, str], str] = {}
"""(folder of the client, feature): why it does not work. A gap that closes fails the test, until it is taken out."""
