"""Where Claude answers: its own API, and the clouds that offer it, with what each of them lacks.

A model of the settings names its backend before a colon: `bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
`vertex:claude-sonnet-4-5@20250929`. Without one it is Claude's own API. Sources:
https://platform.claude.com/docs/en/build-with-claude/overview, .../build-with-claude/vision, .../pdf-support,
.../api/migration-2026-10-21, and what the SDK's clients of these backends leave out.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from translators.errors import OpenAIError

if TYPE_CHECKING:
    from translators.content import Block

__all__ = ["ANTHROPIC", "BACKENDS", "Backend", "Target", "find_claude_id", "fit_request", "parse_target"]

ANTHROPIC = "anthropic"
"""Claude's own API: the backend of every model without a prefix."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What one backend has of Claude's API."""

    title: str
    """Its name in messages."""
    provider: str = "anthropic"
    """`gen_ai.provider.name`, as the SDK's own tracing gives it."""
    url_sources: bool = True
    """Whether images and documents may be given by URL."""
    file_ids: bool = True
    """Whether there is a Files API whose ids a request may name."""
    web_search: bool = True
    code_execution: bool = True
    mcp: bool = True
    """Whether it calls remote MCP servers itself."""
    counts_tokens: bool = True
    mid_conversation_system: bool = True
    automatic_caching: bool = True
    """Whether a request may have one cache mark for all of it, or each block its own alone."""
    service_tier: bool = True
    body_version: str | None = None
    """The API version before 2026-10-21 as this backend names it in the body; None: it is a header, as Claude's own."""
    newest_version_since_4_7: bool = False
    """Whether models before 4.7 refuse the version 2026-10-21."""


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        ANTHROPIC: Backend("Claude"),
        "bedrock": Backend(
            "Amazon Bedrock",
            provider="aws.bedrock",
            url_sources=False,
            file_ids=False,
            web_search=False,
            code_execution=False,
            mcp=False,
            counts_tokens=False,
            automatic_caching=False,
            service_tier=False,
            body_version="bedrock-2023-05-31",
            newest_version_since_4_7=True,
        ),
        "bedrock-mantle": Backend(
            "Amazon Bedrock",
            provider="aws.bedrock",
            url_sources=False,
            file_ids=False,
            web_search=False,
            code_execution=False,
            mcp=False,
            automatic_caching=False,
            service_tier=False,
        ),
        "vertex": Backend(
            "Google Vertex AI",
            provider="gcp.vertex_ai",
            url_sources=False,
            file_ids=False,
            code_execution=False,
            mcp=False,
            automatic_caching=False,
            service_tier=False,
            body_version="vertex-2023-10-16",
        ),
        "foundry": Backend("Microsoft Foundry", mid_conversation_system=False),
        "aws": Backend("Claude Platform on AWS"),
        "google-cloud": Backend("Claude on Google Cloud"),
    }
)
"""By the prefix of a model. What is not certain to be there counts as lacking, where there is another way to do it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a backend."""

    backend: str
    """A key of `BACKENDS`."""
    model: str
    """As the backend names it."""
    claude_id: str
    """As Claude's own API names it, so far as the backend's name says that."""


_BEDROCK_ID = re.compile(r"(?:[a-z-]+\.)?anthropic\.(?P<id>claude-.+?)(?:-v\d+(?::\w+)*)?")
"""`us.anthropic.claude-sonnet-4-5-20250929-v1:0`: an inference profile's region, and the version of the offer."""
_DATE = re.compile(r"-\d{8}$")
_VERTEX_ID = re.compile(r"(?P<name>claude-[^@]+)@(?P<date>\d{8})?.*")


@lru_cache(maxsize=1024)
def parse_target(name: str) -> Target:
    """Split the name of a model of the settings."""
    backend, colon, model = name.partition(":")
    if not colon or backend not in BACKENDS:
        return Target(ANTHROPIC, name, name)
    return Target(backend, model, _claude_id(model))


def find_claude_id(name: str, known: Container[str]) -> str:
    """Return Claude's own id of a model, whichever backend it is named for, as `known` has it."""
    claude_id = parse_target(name).claude_id
    # Clouds date what Claude's own API has without a date.
    return claude_id if claude_id in known else _DATE.sub("", claude_id)


def _claude_id(model: str) -> str:
    if found := _BEDROCK_ID.fullmatch(model.rpartition("/")[2]):  # after the slash of an ARN
        return found["id"]
    if found := _VERTEX_ID.fullmatch(model):
        return f"{found['name']}-{found['date']}" if found["date"] else found["name"]
    return model


def fit_request(
    params: Mapping[str, Any], headers: Mapping[str, str], model: str, *, before_4_7: bool, param: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write a request as its backend takes it: the body and the headers.

    Args:
        params: body for Claude's own API.
        headers: besides the SDK's own, for Claude's own API.
        model: as the settings name it.
        before_4_7: whether the model is of a family before 4.7.
        param: OpenAI's parameter that images and files came in, for the message.

    Raises:
        OpenAIError: 400 for what the backend lacks and must not be left out.
    """
    target = parse_target(model)
    fitted, sent = dict(params), dict(headers)
    if target.backend == ANTHROPIC:
        return fitted, sent
    backend = BACKENDS[target.backend]
    for kind in _sources(params["messages"]):
        if kind == "url" and not backend.url_sources:
            raise _lacking(f"{backend.title} fetches no URLs: send the file itself, as a data URL.", param)
        if kind == "file" and not backend.file_ids:
            raise _lacking(f"{backend.title} has no files of Claude's Files API: send the file itself.", param)
    if params.get("mcp_servers") and not backend.mcp:
        raise _lacking(f"{backend.title} calls no MCP servers.", "tools")
    if not backend.code_execution and any("code_execution" in tool.get("type", "") for tool in params.get("tools", ())):
        raise _lacking(f"{backend.title} runs no code.", "tools")
    if not backend.service_tier:
        # There is one tier.
        fitted.pop("service_tier", None)
    if not backend.automatic_caching and (mark := fitted.pop("cache_control", None)) is not None:
        fitted["messages"] = _mark_last(fitted["messages"], mark)
    if backend.body_version is not None:
        version = sent.pop("anthropic-version", None)
        if version is not None or (before_4_7 and backend.newest_version_since_4_7):
            fitted["anthropic_version"] = backend.body_version
    return fitted, sent


def _lacking(message: str, param: str) -> OpenAIError:
    return OpenAIError(400, message, code="unsupported_value", param=param)


def _sources(messages: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for message in messages:
        yield from _sources_of(message["content"])


def _sources_of(content: Any) -> Iterable[str]:
    if isinstance(content, list):
        for block in content:
            source = block.get("source")
            # What is uploaded to the proxy gives way to its content before it is sent.
            if isinstance(source, Mapping) and not str(source.get("file_id", "")).startswith("file-"):
                yield str(source.get("type"))
            if block.get("type") == "tool_result":
                yield from _sources_of(block.get("content"))


def _mark_last(messages: list[dict[str, Any]], mark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put the mark on the last block, which is where the automatic one has its effect; thinking takes none."""
    *earlier, last = messages
    content: list[Block] = list(last["content"])
    for index in range(len(content) - 1, -1, -1):
        if content[index]["type"] not in {"thinking", "redacted_thinking"}:
            content[index] = {"cache_control": dict(mark), **content[index]}
            break
    return [*earlier, {**last, "content": content}]
