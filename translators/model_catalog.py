"""Which Claude model answers a request, and what that model takes.

A closed table by exact id, never by a part of a name. `ModelCatalog.updated` lays over it what `GET /v1/models` says
(`anthropic.types.ModelInfo`); what that list does not expose (forced tool choice, system entries between messages,
prefill, sampling) stays from the table. Sources: https://platform.claude.com/docs/en/about-claude/models/overview,
.../about-claude/model-deprecations, .../build-with-claude/effort,
.../build-with-claude/mid-conversation-system-messages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from translators.backends import ANTHROPIC, BACKENDS, find_claude_id, parse_target
from translators.translation_warning import TranslationWarning

__all__ = [
    "CAPABILITIES",
    "EFFORTS",
    "NEWEST",
    "SUCCESSORS",
    "Effort",
    "ModelCapabilities",
    "ModelCatalog",
    "ResolvedModel",
    "ThinkingType",
]

type Effort = Literal["low", "medium", "high", "xhigh", "max"]
type ThinkingType = Literal["adaptive", "between_tools", "disabled", "enabled"]
type MidConversationSystem = Literal["native", "ignored", "refused"]

EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
"""Every level, weakest first."""


@dataclass(frozen=True, slots=True)
class ModelCapabilities:
    """What one model accepts. A value that it does not accept is answered by Claude with a 400."""

    max_input_tokens: int
    max_output_tokens: int
    thinking_types: frozenset[ThinkingType]
    thinks_by_default: bool
    """Whether the model thinks where `thinking` is left out."""
    efforts: tuple[Effort, ...] = EFFORTS
    """Weakest first. Empty: `output_config.effort` is refused."""
    default_effort: Effort = "high"
    strongest_effort_without_thinking: Effort = "max"
    """Opus 5, Sonnet 5.5 and Haiku 5.5 refuse stronger efforts together with `disabled` or `between_tools`."""
    forced_tool_choice: bool = True
    """Whether `tool_choice` of type `any` or `tool` is accepted (never together with `thinking: enabled`)."""
    mid_conversation_system: MidConversationSystem = "refused"
    """Entries of role `system` between messages: obeyed, accepted without effect, or refused."""
    tagged_system_better: bool = False
    """Tagged text in the user turn is followed better than the native entry (measured by pydantic-ai,
    models/anthropic/_framing.py)."""
    prefill: bool = False
    """Whether the last message may be the assistant's (with thinking off, and without an output format)."""
    sampling: bool = False
    """Whether `temperature` or `top_p` other than the default is accepted, under `anthropic-version: 2023-06-01`."""
    structured_outputs: bool = True
    image_input: bool = True
    pdf_input: bool = True
    web_search: bool = True

    @property
    def thinking_off(self) -> ThinkingType | None:
        """The `thinking.type` that switches thinking off (Sonnet 5.5: outside tool loops); None where none does."""
        if "disabled" in self.thinking_types:
            return "disabled"
        return "between_tools" if "between_tools" in self.thinking_types else None

    @property
    def budget_only(self) -> bool:
        """Whether thinking takes a budget in tokens, and nothing else switches it on."""
        return "enabled" in self.thinking_types and "adaptive" not in self.thinking_types


_ALWAYS: frozenset[ThinkingType] = frozenset({"adaptive"})
_SWITCHABLE: frozenset[ThinkingType] = frozenset({"adaptive", "disabled"})
_BUDGET: frozenset[ThinkingType] = frozenset({"enabled", "disabled"})
_ANY: frozenset[ThinkingType] = frozenset({"adaptive", "enabled", "disabled"})

_FABLE_5 = ModelCapabilities(1_000_000, 128_000, _ALWAYS, thinks_by_default=True, mid_conversation_system="native")
_FABLE_5_1 = replace(_FABLE_5, forced_tool_choice=False)
_OPUS_4_7 = ModelCapabilities(1_000_000, 128_000, _SWITCHABLE, thinks_by_default=False)
_OPUS_4_8 = replace(_OPUS_4_7, mid_conversation_system="native")
_OPUS_5 = replace(_OPUS_4_8, thinks_by_default=True, strongest_effort_without_thinking="high")
_OPUS_4_6 = replace(_OPUS_4_7, thinking_types=_ANY, efforts=("low", "medium", "high", "max"), sampling=True)
_OPUS_4_5 = ModelCapabilities(
    200_000,
    64_000,
    _BUDGET,
    thinks_by_default=False,
    efforts=("low", "medium", "high"),
    prefill=True,
    sampling=True,
)
_SONNET_4_5 = replace(_OPUS_4_5, efforts=())

NEWEST = _FABLE_5_1
"""For a claude id that the table does not hold: what every model since Fable 5.1 accepts. Claude itself answers."""

CAPABILITIES: Mapping[str, ModelCapabilities] = MappingProxyType(
    {
        "claude-fable-5-2": _FABLE_5_1,
        "claude-mythos-5-2": _FABLE_5_1,
        "claude-fable-5-1": _FABLE_5_1,
        "claude-mythos-5-1": _FABLE_5_1,
        "claude-fable-5": _FABLE_5,
        "claude-mythos-5": _FABLE_5,
        "claude-opus-5-5": replace(_FABLE_5_1, default_effort="medium"),
        "claude-opus-5": _OPUS_5,
        "claude-opus-4-8": _OPUS_4_8,
        "claude-opus-4-7": _OPUS_4_7,
        "claude-opus-4-6": _OPUS_4_6,
        "claude-opus-4-5": _OPUS_4_5,
        "claude-opus-4-5-20251101": _OPUS_4_5,
        "claude-sonnet-5-5": replace(
            _FABLE_5_1,
            thinking_types=frozenset({"adaptive", "between_tools"}),
            strongest_effort_without_thinking="high",
            tagged_system_better=True,
        ),
        "claude-sonnet-5": replace(_OPUS_4_7, thinks_by_default=True, mid_conversation_system="ignored"),
        "claude-sonnet-4-6": replace(_OPUS_4_6, tagged_system_better=True),
        "claude-sonnet-4-5": _SONNET_4_5,
        "claude-sonnet-4-5-20250929": _SONNET_4_5,
        "claude-haiku-5-5": replace(_OPUS_5, default_effort="medium", tagged_system_better=True),
        "claude-haiku-4-5": _SONNET_4_5,
        "claude-haiku-4-5-20251001": _SONNET_4_5,
        "claude-mythos-preview": replace(
            _OPUS_4_7,
            thinking_types=frozenset({"adaptive", "enabled"}),
            thinks_by_default=True,
            forced_tool_choice=False,
        ),
    }
)

_SONNET, _OPUS, _HAIKU = "claude-sonnet-5-5", "claude-opus-4-8", "claude-haiku-4-5-20251001"

SUCCESSORS: Mapping[str, str] = MappingProxyType(
    {
        "claude-3-sonnet-20240229": _SONNET,
        "claude-3-sonnet-latest": _SONNET,
        "claude-3-sonnet": _SONNET,
        "claude-3-5-sonnet-20240620": _SONNET,
        "claude-3-5-sonnet-20241022": _SONNET,
        "claude-3-5-sonnet-latest": _SONNET,
        "claude-3-5-sonnet": _SONNET,
        "claude-3-7-sonnet-20250219": _SONNET,
        "claude-3-7-sonnet-latest": _SONNET,
        "claude-3-7-sonnet": _SONNET,
        "claude-sonnet-4-5-20250929": _SONNET,
        "claude-sonnet-4-5": _SONNET,
        "claude-sonnet-4-20250514": _SONNET,
        "claude-sonnet-4-0": _SONNET,
        "claude-sonnet-4": _SONNET,
        "claude-3-opus-20240229": _OPUS,
        "claude-3-opus-latest": _OPUS,
        "claude-3-opus": _OPUS,
        "claude-opus-4-20250514": _OPUS,
        "claude-opus-4-0": _OPUS,
        "claude-opus-4": _OPUS,
        "claude-opus-4-1-20250805": _OPUS,
        "claude-opus-4-1": _OPUS,
        "claude-3-haiku-20240307": _HAIKU,
        "claude-3-haiku-latest": _HAIKU,
        "claude-3-haiku": _HAIKU,
        "claude-3-5-haiku-20241022": _HAIKU,
        "claude-3-5-haiku-latest": _HAIKU,
        "claude-3-5-haiku": _HAIKU,
        "claude-2.1": _SONNET,
        "claude-2.0": _SONNET,
        "claude-2": _SONNET,
        "claude-instant-1.2": _HAIKU,
        "claude-instant-1": _HAIKU,
    }
)
"""Retired ids to the successors that the deprecation page recommends (for the 2.x and instant models, which have none:
today's model of the same rank). Those that are announced only take effect once the model list calls them retired."""


class ResolvedModel(msgspec.Struct, frozen=True):
    """The model that answers, and what had to be changed to get there."""

    id: str
    capabilities: ModelCapabilities
    warnings: tuple[TranslationWarning, ...] = ()


class ModelCatalog:
    """Resolves the model names of clients to Claude's models.

    Args:
        default_model: the Claude id for every name that nothing else matches.
        aliases: the user's table of names to Claude ids. An exact name wins; else the first pattern (`gpt-4*`) that
            matches.
        models: capabilities by id; the static table where left out.
        first_party: whether there is Claude's own API to ask. Without it claude ids are names like all others.
        always: the model that answers whatever the name.
    """

    def __init__(
        self,
        default_model: str,
        aliases: Mapping[str, str] = MappingProxyType({}),
        models: Mapping[str, ModelCapabilities] = CAPABILITIES,
        *,
        first_party: bool = True,
        always: str | None = None,
    ) -> None:
        self.default_model = default_model
        self.aliases = MappingProxyType(dict(aliases))
        self.models = MappingProxyType(dict(models))
        self.first_party = first_party
        self._always = always

    def always(self, model: str) -> "ModelCatalog":
        """Return a catalog in which one model answers for every name."""
        return ModelCatalog(self.default_model, self.aliases, self.models, first_party=self.first_party, always=model)

    def resolve(self, requested: str) -> ResolvedModel:
        """Find the model for a client's name.

        The user's aliases come after claude ids, so that an id always means itself. An unknown claude id passes, and
        Claude says whether it exists.
        """
        name, warnings = self._follow(requested)
        return ResolvedModel(name, self._capabilities(name), warnings)

    def claude_id(self, name: str) -> str:
        """Return Claude's own id of a model, whichever backend it is named for."""
        return find_claude_id(name, self.models)

    def _capabilities(self, name: str) -> ModelCapabilities:
        target = parse_target(name)
        if target.backend == ANTHROPIC:
            return self.models.get(name, NEWEST)
        claude_id = self.claude_id(name)
        return _restrict(self.models.get(claude_id, NEWEST), target.backend, claude_id)

    def _follow(self, requested: str) -> tuple[str, tuple[TranslationWarning, ...]]:
        if self._always is not None:
            return self._succeed(self._always)
        if self.first_party and requested in self.models:
            return requested, ()
        if self.first_party and requested in SUCCESSORS:
            return self._succeed(requested)
        target = self.aliases.get(requested)
        if target is None and self.first_party and requested.startswith("claude-"):
            return requested, ()
        if target is None:
            matches = (model for pattern, model in self.aliases.items() if fnmatchcase(requested, pattern))
            target = next(matches, self.default_model)
        return self._succeed(target)

    def _succeed(self, name: str) -> tuple[str, tuple[TranslationWarning, ...]]:
        successor = SUCCESSORS.get(name)
        if successor is None or name in self.models:
            return name, ()
        return successor, (TranslationWarning("model", "changed", f"{name} is retired: {successor} answers"),)

    def pinned(self, requested: str, model: str) -> "ModelCatalog":
        """Return a catalog that finds this model for a name: what an earlier one found."""
        aliases = {**self.aliases, requested: model}
        return ModelCatalog(self.default_model, aliases, self.models, first_party=self.first_party)

    def updated(self, models: Iterable[Mapping[str, Any]]) -> "ModelCatalog":
        """Return a new catalog that knows what entries of `GET /v1/models` say; those called retired leave it."""
        merged = dict(self.models)
        for model in models:
            name = model.get("id")
            if not isinstance(name, str):
                continue
            if model.get("lifecycle") == "retired":
                merged.pop(name, None)
            else:
                merged[name] = _read_capabilities(model, merged.get(name, NEWEST))
        return ModelCatalog(self.default_model, self.aliases, merged, first_party=self.first_party)


def _restrict(capabilities: ModelCapabilities, name: str, claude_id: str) -> ModelCapabilities:
    """Take away what the model has at Claude's own API, and not at this backend."""
    backend = BACKENDS[name]
    lacks_formats = name in {"bedrock", "bedrock-mantle"} and claude_id == "claude-haiku-5-5"
    return replace(
        capabilities,
        web_search=capabilities.web_search and backend.web_search,
        mid_conversation_system=capabilities.mid_conversation_system if backend.mid_conversation_system else "refused",
        # https://platform.claude.com/docs/en/build-with-claude/structured-outputs
        structured_outputs=capabilities.structured_outputs and not lacks_formats,
    )


def _read_capabilities(model: Mapping[str, Any], known: ModelCapabilities) -> ModelCapabilities:
    """Lay an entry of the model list over what is known. Absent or null fields leave the known value."""
    capabilities = _mapping(model.get("capabilities"))
    thinking = _mapping(_mapping(capabilities.get("thinking")).get("types"))
    types: set[ThinkingType] = set(known.thinking_types)
    every_type: tuple[ThinkingType, ...] = ("adaptive", "between_tools", "disabled", "enabled")
    for thinking_type in every_type:
        supported = _supported(thinking, thinking_type)
        if supported is True:
            types.add(thinking_type)
        elif supported is False:
            types.discard(thinking_type)
    effort = _mapping(capabilities.get("effort"))
    efforts = tuple(level for level in EFFORTS if _supported(effort, level, default=level in known.efforts))
    server_tools = _mapping(capabilities.get("server_tools"))
    return replace(
        known,
        max_input_tokens=_count(model.get("max_input_tokens"), known.max_input_tokens),
        max_output_tokens=_count(model.get("max_tokens"), known.max_output_tokens),
        thinking_types=frozenset(types),
        efforts=() if effort.get("supported") is False else efforts,
        structured_outputs=bool(_supported(capabilities, "structured_outputs", default=known.structured_outputs)),
        image_input=bool(_supported(capabilities, "image_input", default=known.image_input)),
        pdf_input=bool(_supported(capabilities, "pdf_input", default=known.pdf_input)),
        web_search=bool(_supported(server_tools, "web_search", default=known.web_search)),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _supported(parent: Mapping[str, Any], key: str, *, default: bool | None = None) -> bool | None:
    supported = _mapping(parent.get(key)).get("supported")
    return supported if isinstance(supported, bool) else default


def _count(value: Any, known: int) -> int:
    return value if isinstance(value, int) and value > 0 else known
