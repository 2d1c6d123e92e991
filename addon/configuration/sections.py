"""The sections of the settings: every field with its default, its bounds, its meaning and its names elsewhere.

Each setting carries its own names (`Names`), so that the command line, the mitmproxy options and docs/operations.md are
made from this one table, which has their order. How the sources are merged is in `addon.configuration.settings`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from addon.configuration.client_keys import ClientKey
from addon.configuration.values import (
    EgressRule,
    HostPattern,
    ModelName,
    Seconds,
    header_value,
    http_url,
    lower,
    needs_otel,
    pair_up,
    parse_keys,
    redis_url,
    split_commas,
    unique_keys,
    upper,
)
from translators.backends import ANTHROPIC, parse_target

__all__ = [
    "OPENAI_HOSTS",
    "AccessSettings",
    "CacheSettings",
    "ClaudeSettings",
    "EgressSettings",
    "InterceptionSettings",
    "LimitSettings",
    "LoggingSettings",
    "MetricsSettings",
    "Names",
    "RateLimitingSettings",
    "Section",
    "ServerSettings",
    "StoreSettings",
    "StreamSettings",
    "ThinkingSettings",
    "TracingSettings",
]

OPENAI_HOSTS = (
    "api.openai.com",
    "us.api.openai.com",
    "eu.api.openai.com",
    "ae.api.openai.com",
    "au.api.openai.com",
    "in.api.openai.com",
    "jp.api.openai.com",
    "mtls.api.openai.com",
    "*.openai.azure.com",
)


@dataclass(frozen=True, slots=True)
class Names:
    """What one setting is called outside configuration files; None where a source may not carry it."""

    env: str
    option: str | None = None
    flag: str | None = None


class Section(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerSettings(Section):
    """Where `claude-proxy serve` listens."""

    host: Annotated[str, Names("HOST", flag="--host")] = Field(
        default="127.0.0.1", min_length=1, description="Address that the standalone endpoint listens on."
    )
    port: Annotated[int, Names("PORT", flag="--port")] = Field(
        default=8000, ge=0, le=65535, description="Port of the standalone endpoint; 0 takes a free one."
    )
    workers: Annotated[int, Names("CLAUDE_PROXY_WORKERS", flag="--workers")] = Field(
        default=1, ge=1, le=256, description="Number of processes that `serve` answers with, all on the same port."
    )
    huge_pages: Annotated[bool, Names("CLAUDE_PROXY_HUGE_PAGES")] = Field(
        default=True,
        description="Keep what a process has made at its start in huge pages of memory, where Linux has them.",
    )
    drain_delay: Annotated[float, Names("CLAUDE_PROXY_DRAIN_DELAY")] = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How long `serve` still accepts requests after SIGTERM, not ready any more, in seconds.",
    )
    drain_timeout: Annotated[float, Names("CLAUDE_PROXY_DRAIN_TIMEOUT", "claude_drain_timeout", "--drain-timeout")] = (
        Field(
            default=10, ge=0, allow_inf_nan=False, description="How long running answers may take to end, in seconds."
        )
    )


class ClaudeSettings(Section):
    """How Claude is called, and as which model."""

    api_key: Annotated[
        SecretStr | None, Names("ANTHROPIC_API_KEY"), AfterValidator(lambda v: v and header_value(v))
    ] = Field(
        default=None, description="Key for Claude. From the environment or the file only, never a flag or an option."
    )
    base_url: Annotated[str, Names("ANTHROPIC_BASE_URL", "claude_base_url", "--base-url"), AfterValidator(http_url)] = (
        Field(default="https://api.anthropic.com", description="Address of the Claude API.")
    )
    simulate: Annotated[bool, Names("CLAUDE_PROXY_SIMULATE", "claude_simulate", "--simulate")] = Field(
        default=False, description="Answer from the embedded simulated Claude: no key, no network, no cost."
    )
    default_model: Annotated[
        ModelName, Names("CLAUDE_PROXY_DEFAULT_MODEL", "claude_default_model", "--default-model")
    ] = Field(
        default="claude-sonnet-5-5",
        description="Claude model for every name that no alias covers; one of another backend is named as "
        "bedrock:us.anthropic.claude-sonnet-5-5.",
    )
    aliases: Annotated[
        dict[str, ModelName], Names("CLAUDE_PROXY_ALIASES", "claude_aliases"), BeforeValidator(pair_up)
    ] = Field(
        default_factory=dict,
        description="Which Claude model answers for which name: patterns such as gpt-4o*, the first match wins.",
    )
    fallbacks: Annotated[
        tuple[ModelName, ...], Names("CLAUDE_PROXY_FALLBACKS", "claude_fallbacks"), BeforeValidator(split_commas)
    ] = Field(
        default=(),
        description="Models that are asked one after another where the first is overloaded, limited, silent or out of "
        "reach.",
    )
    max_tokens: Annotated[int | None, Names("CLAUDE_PROXY_MAX_TOKENS", "claude_max_tokens")] = Field(
        default=None,
        ge=1,
        description="Output tokens for requests that ask for no limit; unset means the model's own maximum.",
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
        description="Show thinking as reasoning_content: to clients that send a reasoning_effort, to all, to none.",
    )
    upload_files: Annotated[bool, Names("CLAUDE_PROXY_UPLOAD_FILES", "claude_upload_files")] = Field(
        default=True,
        description="Copy the uploaded files that requests name to Claude's Files API, so that they travel once.",
    )
    proxy: Annotated[
        str | None, Names("CLAUDE_PROXY_EGRESS_PROXY", "claude_proxy"), AfterValidator(lambda v: v and http_url(v))
    ] = Field(default=None, description="HTTP proxy for the calls to Claude; that of the environment is not used.")
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
        description="Repeated calls after a passing failure, all before the first byte of an answer.",
    )
    retry_after_limit: Annotated[float, Names("CLAUDE_PROXY_RETRY_AFTER_LIMIT", "claude_retry_after_limit")] = Field(
        default=60,
        ge=0,
        allow_inf_nan=False,
        description="Longest retry-after that is waited for, in seconds; a longer one goes to the client at once.",
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


class AccessSettings(Section):
    """Who may use the proxy."""

    keys: Annotated[
        tuple[ClientKey, ...],
        Names("CLAUDE_PROXY_CLIENT_KEYS"),
        BeforeValidator(parse_keys),
        AfterValidator(unique_keys),
    ] = Field(
        default=(),
        description="Client keys besides those of the key file, as tables: see Access. In the environment, as JSON.",
    )
    key_file: Annotated[
        Path | None,
        Names("CLAUDE_PROXY_KEY_FILE", "claude_key_file"),
        AfterValidator(lambda v: v and v.expanduser()),
    ] = Field(
        default=None,
        description="File that `claude-proxy keys` keeps client keys in; unset means keys.json beside the store.",
    )
    allow_anonymous: Annotated[
        bool, Names("CLAUDE_PROXY_ALLOW_ANONYMOUS", "claude_allow_anonymous", "--allow-anonymous")
    ] = Field(
        default=False,
        description="Let clients use the standalone endpoint without a key, even from other machines.",
    )
    bring_your_own_key: Annotated[bool, Names("CLAUDE_PROXY_BRING_YOUR_OWN_KEY", "claude_bring_your_own_key")] = Field(
        default=False,
        description="Let clients send a key for Claude of their own (sk-ant-...), which their calls then use.",
    )
    proxy_keys: Annotated[bool, Names("CLAUDE_PROXY_PROXY_KEYS", "claude_proxy_keys")] = Field(
        default=False,
        description="Ask for a client key in the proxy modes too, as the password of the proxy's address.",
    )


class LoggingSettings(Section):
    """What is written to standard output."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Names("LOG_LEVEL", "claude_log_level", "--log-level"),
        BeforeValidator(upper),
    ] = Field(default="INFO", description="Least level that is logged.")
    format: Annotated[
        Literal["json", "console"],
        Names("CLAUDE_PROXY_LOG_FORMAT", "claude_log_format", "--log-format"),
        BeforeValidator(lower),
    ] = Field(default="json", description="One JSON object a line, or text for people.")
    content: Annotated[
        Literal["off", "hash", "full"],
        Names("CLAUDE_PROXY_LOG_CONTENT", "claude_log_content"),
        BeforeValidator(lower),
    ] = Field(
        default="off",
        description="What the log says of prompts and answers: nothing, their length and hash, or all but keys.",
    )


class RateLimitingSettings(Section):
    """How much each client may ask for, and all together. 0 means no limit."""

    requests_per_minute: Annotated[int, Names("RATE_LIMIT_REQUESTS", "claude_requests_per_minute")] = Field(
        default=60, ge=0, description="Requests a minute of one client; 0 means no limit, here and below."
    )
    burst_size: Annotated[int | None, Names("CLAUDE_PROXY_RATE_LIMIT_BURST", "claude_burst_size")] = Field(
        default=None, ge=1, description="Requests that may come at once; unset means as many as in a minute."
    )
    tokens_per_minute: Annotated[int, Names("CLAUDE_PROXY_TOKENS_PER_MINUTE", "claude_tokens_per_minute")] = Field(
        default=0,
        ge=0,
        description="Tokens a minute of one client, input and output, charged when an answer has ended.",
    )
    concurrent_requests: Annotated[int, Names("CLAUDE_PROXY_CONCURRENT_REQUESTS", "claude_concurrent_requests")] = (
        Field(default=0, ge=0, description="Requests of one client that may run at the same time.")
    )
    dollars_per_day: Annotated[float, Names("CLAUDE_PROXY_DOLLARS_PER_DAY", "claude_dollars_per_day")] = Field(
        default=0, ge=0, allow_inf_nan=False, description="Dollars a day (UTC) of one client, by list prices."
    )
    total_requests_per_minute: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_REQUESTS_PER_MINUTE", "claude_total_requests_per_minute")
    ] = Field(default=0, ge=0, description="Requests a minute of all clients together.")
    total_tokens_per_minute: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_TOKENS_PER_MINUTE", "claude_total_tokens_per_minute")
    ] = Field(default=0, ge=0, description="Tokens a minute of all clients together.")
    total_concurrent_requests: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_CONCURRENT_REQUESTS", "claude_total_concurrent_requests")
    ] = Field(default=0, ge=0, description="Requests of all clients together that may run at the same time.")
    total_dollars_per_day: Annotated[
        float, Names("CLAUDE_PROXY_TOTAL_DOLLARS_PER_DAY", "claude_total_dollars_per_day")
    ] = Field(default=0, ge=0, allow_inf_nan=False, description="Dollars a day of all clients together.")
    redis_url: Annotated[
        SecretStr | None, Names("CLAUDE_PROXY_LIMITS_REDIS_URL"), AfterValidator(lambda v: v and redis_url(v))
    ] = Field(
        default=None,
        description="Redis in which several processes count together; unset means store.redis_url, and without that "
        "each process counts for itself. From the environment or the file only.",
    )
    on_redis_failure: Annotated[
        Literal["open", "closed"],
        Names("CLAUDE_PROXY_ON_REDIS_FAILURE", "claude_on_redis_failure"),
        BeforeValidator(lower),
    ] = Field(
        default="open",
        description="While that Redis is away: let each process count for itself, or refuse all requests with 503.",
    )


class InterceptionSettings(Section):
    """Which requests are answered by Claude."""

    hosts: Annotated[
        tuple[HostPattern, ...], Names("CLAUDE_PROXY_HOSTS", "claude_hosts"), BeforeValidator(split_commas)
    ] = Field(
        default=OPENAI_HOSTS,
        description="Hosts whose requests are answered by Claude in the proxy modes; *. covers all subdomains.",
    )
    untranslated: Annotated[
        Literal["pass", "refuse"], Names("CLAUDE_PROXY_UNTRANSLATED", "claude_untranslated"), BeforeValidator(lower)
    ] = Field(
        default="pass",
        description="Requests to these hosts that have no translation: pass them to the real host, or refuse them.",
    )
    others: Annotated[
        Literal["tunnel", "intercept"], Names("CLAUDE_PROXY_OTHERS", "claude_others"), BeforeValidator(lower)
    ] = Field(
        default="tunnel",
        description="TLS connections to other hosts: tunnel them as they are, or intercept them for mitmproxy's views.",
    )


class EgressSettings(Section):
    """Where the proxy modes may connect to."""

    allow: Annotated[
        tuple[EgressRule, ...],
        Names("CLAUDE_PROXY_EGRESS_ALLOW", "claude_egress_allow"),
        BeforeValidator(split_commas),
    ] = Field(
        default=("public",),
        description="Where the proxy modes may connect to: public, private, networks such as 10.0.0.0/8, hosts such as "
        "*.example.com.",
    )


class LimitSettings(Section):
    """Bounds on what a client may send, and on how long it may take."""

    max_request_bytes: Annotated[int, Names("CLAUDE_PROXY_MAX_REQUEST_BYTES", "claude_max_request_bytes")] = Field(
        default=32 * 1024 * 1024, ge=1024, description="Largest request body, in bytes, before and after decompression."
    )
    max_header_bytes: Annotated[int, Names("CLAUDE_PROXY_MAX_HEADER_BYTES", "claude_max_header_bytes")] = Field(
        default=64 * 1024, ge=1024, description="Largest head of a request, in bytes: its first line and its headers."
    )
    max_images: Annotated[int | None, Names("CLAUDE_PROXY_MAX_IMAGES", "claude_max_images")] = Field(
        default=None, ge=0, description="Most images in one request; unset leaves it to Claude."
    )
    max_image_bytes: Annotated[int | None, Names("CLAUDE_PROXY_MAX_IMAGE_BYTES", "claude_max_image_bytes")] = Field(
        default=None, ge=1, description="Largest image, in bytes once decoded; unset leaves it to Claude."
    )
    body_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_BODY_SECONDS", "claude_body_seconds")] = Field(
        default=300, description="Longest time that a request's body may take to arrive, in seconds."
    )
    answer_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_ANSWER_SECONDS", "claude_answer_seconds")] = Field(
        default=3600,
        description="Longest time that an answer may take to its end, in seconds. Of silence, it is claude.timeout.",
    )


class StreamSettings(Section):
    """How answers are streamed, and kept alive."""

    websocket: Annotated[bool, Names("CLAUDE_PROXY_WEBSOCKET", "claude_websocket")] = Field(
        default=True,
        description="Serve the Responses API over WebSockets too; if not, their clients are told to use HTTP (426).",
    )
    keep_alive_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_KEEP_ALIVE_SECONDS", "claude_keep_alive_seconds")] = (
        Field(
            default=10,
            description="Longest silence in a stream before a comment is sent, on a WebSocket a ping, in seconds.",
        )
    )


class ThinkingSettings(Section):
    """The memory that gives Claude its own thinking back on the next turn. Several processes share it in the store."""

    memory_size: Annotated[int, Names("CLAUDE_PROXY_THINKING_MEMORY_SIZE", "claude_thinking_memory_size")] = Field(
        default=128 * 1024 * 1024,
        ge=0,
        description="Memory for the thinking of earlier turns, in bytes, the oldest is forgotten first; 0 keeps none.",
    )
    memory_ttl: Annotated[Seconds, Names("CLAUDE_PROXY_THINKING_MEMORY_TTL", "claude_thinking_memory_ttl")] = Field(
        default=3600, description="How long a turn's thinking is remembered, in seconds."
    )


class StoreSettings(Section):
    """What is kept of responses and conversations, so that clients can name them later."""

    path: Annotated[
        Path | None,
        Names("CLAUDE_PROXY_STORE_PATH", "claude_store_path"),
        AfterValidator(lambda v: v and v.expanduser()),
    ] = Field(
        default=None,
        description="SQLite file of stored responses and conversations; unset means store.sqlite3 in the user's "
        "state folder, :memory: keeps them until the end of the process.",
    )
    redis_url: Annotated[
        SecretStr | None, Names("CLAUDE_PROXY_REDIS_URL"), AfterValidator(lambda v: v and redis_url(v))
    ] = Field(
        default=None,
        description="Redis that takes the place of the SQLite file, such as redis://host:6379/0. "
        "From the environment or the file only, because it may hold a password.",
    )
    seconds_to_live: Annotated[Seconds, Names("CLAUDE_PROXY_STORE_TTL", "claude_store_ttl")] = Field(
        default=30 * 24 * 3600, description="How long what is stored is kept after its last use, in seconds."
    )
    max_bytes: Annotated[int, Names("CLAUDE_PROXY_STORE_MAX_BYTES", "claude_store_max_bytes")] = Field(
        default=1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Largest size of the SQLite file, in bytes: the longest unused is forgotten first. "
        "Redis has a limit of its own, maxmemory.",
    )
    secret_file: Annotated[
        Path | None,
        Names("CLAUDE_PROXY_SECRET_FILE", "claude_secret_file"),
        AfterValidator(lambda v: v and v.expanduser()),
    ] = Field(
        default=None,
        description="File of the secret that seals encrypted_content, made at first use; unset means a file named "
        "secret beside the store.",
    )
    secret: Annotated[SecretStr | None, Names("CLAUDE_PROXY_SECRET")] = Field(
        default=None,
        description="That secret itself, for several machines that answer the same clients. "
        "From the environment or the file only.",
    )


class CacheSettings(Section):
    """Answers that are given again for the same request."""

    mode: Annotated[
        Literal["off", "asked", "on"],
        Names("CLAUDE_PROXY_CACHE", "claude_cache", "--cache"),
        BeforeValidator(lower),
    ] = Field(
        default="off",
        description="Give an answer again for the very same request: never, to requests with the header "
        "x-claude-proxy-cache: on, or to all without x-claude-proxy-cache: off.",
    )
    backend: Annotated[
        Literal["memory", "store"],
        Names("CLAUDE_PROXY_CACHE_BACKEND", "claude_cache_backend"),
        BeforeValidator(lower),
    ] = Field(default="memory", description="Where answers are kept: in each process, or in the store, for all.")
    shared: Annotated[bool, Names("CLAUDE_PROXY_CACHE_SHARED", "claude_cache_shared")] = Field(
        default=False, description="Give one client the answer that another one got."
    )
    seconds_to_live: Annotated[Seconds, Names("CLAUDE_PROXY_CACHE_TTL", "claude_cache_ttl")] = Field(
        default=3600, description="How long an answer is given again, in seconds."
    )
    max_bytes: Annotated[int, Names("CLAUDE_PROXY_CACHE_MAX_BYTES", "claude_cache_max_bytes")] = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="Memory for answers in each process, in bytes: the oldest are forgotten first.",
    )
    max_answer_bytes: Annotated[int, Names("CLAUDE_PROXY_CACHE_MAX_ANSWER_BYTES", "claude_cache_max_answer_bytes")] = (
        Field(default=4 * 1024 * 1024, ge=1024, description="Largest answer that is kept, in bytes.")
    )


class MetricsSettings(Section):
    """What Prometheus may ask for, and where."""

    clients: Annotated[
        Literal["loopback", "any"],
        Names("CLAUDE_PROXY_METRICS_CLIENTS", "claude_metrics_clients"),
        BeforeValidator(lower),
    ] = Field(
        default="loopback",
        description="Who may ask the standalone endpoint for /metrics: clients on the same machine, or any.",
    )
    exporter: Annotated[bool, Names("CLAUDE_PROXY_EXPORTER", flag="--no-exporter")] = Field(
        default=True,
        description="Let `serve` start an exporter beside it, which adds up the metrics of all its processes.",
    )
    exporter_host: Annotated[str, Names("CLAUDE_PROXY_EXPORTER_HOST")] = Field(
        default="127.0.0.1", min_length=1, description="Address that the exporter listens on."
    )
    exporter_port: Annotated[int, Names("CLAUDE_PROXY_EXPORTER_PORT")] = Field(
        default=9464, ge=0, le=65535, description="Port of the exporter; 0 takes a free one."
    )
    port: Annotated[int | None, Names("CLAUDE_PROXY_METRICS_PORT", "claude_metrics_port")] = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port on 127.0.0.1 where this one process shows its metrics, for `mitmdump -s`; unset means none, "
        "0 takes a free one.",
    )


class TracingSettings(Section):
    """Whether OpenTelemetry hears of exchanges. Where and how is said by its own variables, `OTEL_...`."""

    enabled: Annotated[bool, Names("CLAUDE_PROXY_TRACES", "claude_traces"), AfterValidator(needs_otel)] = Field(
        default=False,
        description="Send a trace of each exchange by OTLP over HTTP, to OTEL_EXPORTER_OTLP_ENDPOINT. Needs the extra "
        "otel.",
    )
