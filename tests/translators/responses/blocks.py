"""Content blocks of Claude that the tests of the answer are made of, and the plan that most of them need."""

from translators.responses.reply_plan import ResponsesPlan, ToolIdentity

TOOLS = {name: ToolIdentity("function", name) for name in ("get_weather", "a", "b")}
PLAN = ResponsesPlan("gpt-5.5", claude_model="claude-opus-5-5", tools=TOOLS)
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}
SILENT = {"type": "thinking", "thinking": "", "signature": "c2lsZW50"}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}
TEXT = {"type": "text", "text": "It is sunny in São Paulo 🌞."}


def tool(number=1, name="get_weather", **arguments):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def search(number=1, query="weather"):
    return {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": "web_search", "input": {"query": query}}


def found(number=1, *urls):
    pages = [{"type": "web_search_result", "url": url, "title": url, "encrypted_content": "eA=="} for url in urls]
    return {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{number}", "content": pages}


def citing(text, *urls):
    citations = [
        {
            "type": "web_search_result_location",
            "url": url,
            "title": f"Page {url}",
            "cited_text": "x",
            "encrypted_index": "e",
        }
        for url in urls
    ]
    return {"type": "text", "text": text, "citations": citations}
