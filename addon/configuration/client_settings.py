"""Who may ask, for how much, which requests are answered, where the others may go, and how answers reach a client."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from addon.configuration.client_keys import ClientKey
from addon.configuration.section import Names, Section
from addon.configuration.values import (
    EgressRule,
    HostPattern,
    Seconds,
    lower,
    parse_keys,
    redis_url,
    split_commas,
    unique_keys,
)

__all__ = [
    "OPENAI_HOSTS",
    "AccessSettings",
    "EgressSettings",
    "InterceptionSettings",
    "LimitSettings",
    "RateLimitingSettings",
    "StreamSettings",
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


class AccessSettings(Section):
    """Who may use the proxy."""

    keys: Annotated[
        tuple[ClientKey, ...],
        Names("CLAUDE_PROXY_CLIENT_KEYS"),
        BeforeValidator(parse_keys),
        AfterValidator(unique_keys),
    ] = Field(
        default=(),
        description="Client keys besides those of the key file, as tables with name and sha256; in the "
        "environment as JSON.",
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
        description="Let clients send their own key for Claude (sk-ant-...), which their calls then use.",
    )
    proxy_keys: Annotated[bool, Names("CLAUDE_PROXY_PROXY_KEYS", "claude_proxy_keys")] = Field(
        default=False,
        description="Ask for a client key in the proxy modes too, as the password of the proxy's address.",
    )


class RateLimitingSettings(Section):
    """How much each client may ask for, and all together. 0 means no limit."""

    requests_per_minute: Annotated[int, Names("RATE_LIMIT_REQUESTS", "claude_requests_per_minute")] = Field(
        default=60, ge=0, description="Requests per minute of one client; 0 means no limit, here and below."
    )
    burst_size: Annotated[int | None, Names("CLAUDE_PROXY_RATE_LIMIT_BURST", "claude_burst_size")] = Field(
        default=None, ge=1, description="Requests that a client may send at once; unset means as many as in a minute."
    )
    tokens_per_minute: Annotated[int, Names("CLAUDE_PROXY_TOKENS_PER_MINUTE", "claude_tokens_per_minute")] = Field(
        default=0,
        ge=0,
        description="Tokens per minute of one client, input and output, charged when an answer has ended.",
    )
    concurrent_requests: Annotated[int, Names("CLAUDE_PROXY_CONCURRENT_REQUESTS", "claude_concurrent_requests")] = (
        Field(default=0, ge=0, description="Requests of one client that may run at the same time.")
    )
    dollars_per_day: Annotated[float, Names("CLAUDE_PROXY_DOLLARS_PER_DAY", "claude_dollars_per_day")] = Field(
        default=0, ge=0, allow_inf_nan=False, description="Dollars per day (UTC) of one client, by list prices."
    )
    total_requests_per_minute: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_REQUESTS_PER_MINUTE", "claude_total_requests_per_minute")
    ] = Field(default=0, ge=0, description="Requests per minute of all clients together.")
    total_tokens_per_minute: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_TOKENS_PER_MINUTE", "claude_total_tokens_per_minute")
    ] = Field(default=0, ge=0, description="Tokens per minute of all clients together.")
    total_concurrent_requests: Annotated[
        int, Names("CLAUDE_PROXY_TOTAL_CONCURRENT_REQUESTS", "claude_total_concurrent_requests")
    ] = Field(default=0, ge=0, description="Requests of all clients together that may run at the same time.")
    total_dollars_per_day: Annotated[
        float, Names("CLAUDE_PROXY_TOTAL_DOLLARS_PER_DAY", "claude_total_dollars_per_day")
    ] = Field(default=0, ge=0, allow_inf_nan=False, description="Dollars per day of all clients together.")
    redis_url: Annotated[
        SecretStr | None, Names("CLAUDE_PROXY_LIMITS_REDIS_URL"), AfterValidator(lambda v: v and redis_url(v))
    ] = Field(
        default=None,
        description="Redis where several processes count together; unset means store.redis_url, and without that "
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
        description="What to do with requests to these hosts that have no translation: pass them to the real "
        "host, or refuse them.",
    )
    others: Annotated[
        Literal["tunnel", "intercept"], Names("CLAUDE_PROXY_OTHERS", "claude_others"), BeforeValidator(lower)
    ] = Field(
        default="tunnel",
        description="What to do with TLS connections to other hosts: tunnel them as they are, or intercept them "
        "for mitmproxy's views.",
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
        default=None, ge=0, description="Most images in one request; unset leaves this limit to Claude."
    )
    max_image_bytes: Annotated[int | None, Names("CLAUDE_PROXY_MAX_IMAGE_BYTES", "claude_max_image_bytes")] = Field(
        default=None, ge=1, description="Largest image, in bytes once decoded; unset leaves this limit to Claude."
    )
    body_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_BODY_SECONDS", "claude_body_seconds")] = Field(
        default=300, description="Longest time that a request's body may take to arrive, in seconds."
    )
    answer_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_ANSWER_SECONDS", "claude_answer_seconds")] = Field(
        default=3600,
        description="Longest time that an answer may take from start to end, in seconds. Silence is limited by "
        "claude.timeout.",
    )


class StreamSettings(Section):
    """How answers are streamed, and kept alive."""

    websocket: Annotated[bool, Names("CLAUDE_PROXY_WEBSOCKET", "claude_websocket")] = Field(
        default=True,
        description="Serve the Responses API over WebSockets too; otherwise their clients are told to use HTTP (426).",
    )
    keep_alive_seconds: Annotated[Seconds, Names("CLAUDE_PROXY_KEEP_ALIVE_SECONDS", "claude_keep_alive_seconds")] = (
        Field(
            default=10,
            description="Longest silence in a stream, in seconds, before the proxy sends a comment, or a ping on a "
            "WebSocket.",
        )
    )
