"""How Claude is called, and what is kept of its thinking and its answers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from addon.configuration.section import Names, Section
from addon.configuration.values import (
    ModelName,
    Seconds,
    claude_url,
    header_value,
    http_url,
    lower,
    pair_up,
    split_commas,
)
from translators.backends import ANTHROPIC, parse_target

__all__ = ["CacheSettings", "ClaudeSettings", "ThinkingSettings"]


class ClaudeSettings(Section):
    """How Claude is called, and as which model."""

    api_key: Annotated[
        SecretStr | None, Names("ANTHROPIC_API_KEY"), AfterValidator(lambda v: v and header_value(v))
    ] = Field(
        default=None, description="Key for Claude. From the environment or the file only, never a flag or an option."
    )
    base_url: Annotated[
        str, Names("ANTHROPIC_BASE_URL", "claude_base_url", "--base-url"), AfterValidator(claude_url)
    ] = Field(default="https://api.anthropic.com", description="Address of the Claude API.")
    simulate: Annotated[bool, Names("CLAUDE_PROXY_SIMULATE", "claude_simulate", "--simulate")] = Field(
        default=False, description="Answer from the embedded simulated Claude: no key, no network, no cost."
    )
    default_model: Annotated[
        ModelName, Names("CLAUDE_PROXY_DEFAULT_MODEL", "claude_default_model", "--default-model")
    ] = Field(
        default="claude-sonnet-5-5",
        description="Claude model for every name that no alias matches. A prefix names another backend: "
        "bedrock:us.anthropic.claude-sonnet-5-5.",
    )
    aliases: Annotated[
        dict[str, ModelName], Names("CLAUDE_PROXY_ALIASES", "claude_aliases"), BeforeValidator(pair_up)
    ] = Field(
        default_factory=dict,
        description="Which Claude model answers for which name, by patterns such as gpt-4o*. The first match counts.",
    )
    fallbacks: Annotated[
        tuple[ModelName, ...], Names("CLAUDE_PROXY_FALLBACKS", "claude_fallbacks"), BeforeValidator(split_commas)
    ] = Field(
        default=(),
        description="Models to ask one after another when the first is overloaded, over its rate limit, silent or "
        "out of reach.",
    )
    max_tokens: Annotated[int | None, Names("CLAUDE_PROXY_MAX_TOKENS", "claude_max_tokens")] = Field(
        default=None,
        ge=1,
        description="Output tokens for requests that set no limit; unset means the model's own maximum.",
    )
    max_tokens_limit: Annotated[int | None, Names("MAX_TOKENS_LIMIT", "claude_max_tokens_limit")] = Field(
        default=None,
        ge=1,
        description="Most output tokens that a client may ask for; unset means the model's own maximum.",
    )
    prompt_caching: Annotated[bool, Names("CLAUDE_PROXY_PROMPT_CACHING", "claude_prompt_caching")] = Field(
        default=True, description="Let Claude cache the stable start of each conversation."
    )
    show_thinking: Annotated[
        Literal["asked", "always", "never"],
        Names("CLAUDE_PROXY_SHOW_THINKING", "claude_show_thinking"),
        BeforeValidator(lower),
    ] = Field(
        default="asked",
        description="Who is shown thinking as reasoning_content: clients that send a reasoning_effort, all, or none.",
    )
    upload_files: Annotated[bool, Names("CLAUDE_PROXY_UPLOAD_FILES", "claude_upload_files")] = Field(
        default=True,
        description="Copy uploaded files that requests name to Claude's Files API, so that they are sent only once.",
    )
    proxy: Annotated[
        str | None, Names("CLAUDE_PROXY_EGRESS_PROXY", "claude_proxy"), AfterValidator(lambda v: v and http_url(v))
    ] = Field(
        default=None, description="HTTP proxy for the calls to Claude. Proxy variables of the environment are not used."
    )
    timeout: Annotated[Seconds, Names("CLAUDE_PROXY_TIMEOUT", "claude_timeout")] = Field(
        default=600, description="Longest wait for the next piece of Claude's answer, in seconds."
    )
    connect_timeout: Annotated[Seconds, Names("CLAUDE_PROXY_CONNECT_TIMEOUT", "claude_connect_timeout")] = Field(
        default=5, description="Longest wait for a connection to Claude, in seconds."
    )
    max_retries: Annotated[int, Names("CLAUDE_PROXY_MAX_RETRIES", "claude_max_retries")] = Field(
        default=2,
        ge=0,
        le=10,
        description="How often a call is made again after a passing failure, always before the first byte of an "
        "answer.",
    )
    retry_after_limit: Annotated[float, Names("CLAUDE_PROXY_RETRY_AFTER_LIMIT", "claude_retry_after_limit")] = Field(
        default=60,
        ge=0,
        allow_inf_nan=False,
        description="Longest retry-after that the proxy waits for, in seconds. A longer one goes to the client at "
        "once.",
    )

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked by these settings, in the form that `parse_target` reads."""
        return (self.default_model, *self.aliases.values(), *self.fallbacks)

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of these models, besides Claude's own API."""
        names = dict.fromkeys(parse_target(model).backend for model in self.models)
        return tuple(name for name in names if name != ANTHROPIC)

    @property
    def needs_key(self) -> bool:
        """Whether one of them is of Claude's own API."""
        return any(parse_target(model).backend == ANTHROPIC for model in self.models)


class ThinkingSettings(Section):
    """The memory that gives Claude its own thinking back on the next turn. Several processes share it in the store."""

    memory_size: Annotated[int, Names("CLAUDE_PROXY_THINKING_MEMORY_SIZE", "claude_thinking_memory_size")] = Field(
        default=128 * 1024 * 1024,
        ge=0,
        description="Memory for the thinking of earlier turns, in bytes; the oldest is dropped first. 0 keeps none.",
    )
    memory_ttl: Annotated[Seconds, Names("CLAUDE_PROXY_THINKING_MEMORY_TTL", "claude_thinking_memory_ttl")] = Field(
        default=3600, description="How long a turn's thinking is remembered, in seconds."
    )


class CacheSettings(Section):
    """Answers that are given again for the same request."""

    mode: Annotated[
        Literal["off", "asked", "on"],
        Names("CLAUDE_PROXY_CACHE", "claude_cache", "--cache"),
        BeforeValidator(lower),
    ] = Field(
        default="off",
        description="When to give an earlier answer to the same request again: never, for requests with the "
        "header x-claude-proxy-cache: on, or for all without x-claude-proxy-cache: off.",
    )
    backend: Annotated[
        Literal["memory", "store"],
        Names("CLAUDE_PROXY_CACHE_BACKEND", "claude_cache_backend"),
        BeforeValidator(lower),
    ] = Field(
        default="memory",
        description="Where answers are kept: in the memory of each process, or in the store for all of them.",
    )
    shared: Annotated[bool, Names("CLAUDE_PROXY_CACHE_SHARED", "claude_cache_shared")] = Field(
        default=False, description="Let clients get answers that were made for other clients."
    )
    seconds_to_live: Annotated[Seconds, Names("CLAUDE_PROXY_CACHE_TTL", "claude_cache_ttl")] = Field(
        default=3600, description="How long an answer may be given again, in seconds."
    )
    max_bytes: Annotated[int, Names("CLAUDE_PROXY_CACHE_MAX_BYTES", "claude_cache_max_bytes")] = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="Memory for answers in each process, in bytes; the oldest are dropped first.",
    )
    max_answer_bytes: Annotated[int, Names("CLAUDE_PROXY_CACHE_MAX_ANSWER_BYTES", "claude_cache_max_answer_bytes")] = (
        Field(default=4 * 1024 * 1024, ge=1024, description="Largest answer that is kept, in bytes.")
    )
