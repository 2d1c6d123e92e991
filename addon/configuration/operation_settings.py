"""Where the proxy listens, what it writes, what it keeps, and what it shows of itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from addon.configuration.section import Names, Section
from addon.configuration.values import Seconds, lower, needs_otel, redis_url, upper

__all__ = ["LoggingSettings", "MetricsSettings", "ServerSettings", "StoreSettings", "TracingSettings"]


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
        description="Keep the memory that a process fills at its start in huge pages, where Linux has them.",
    )
    drain_delay: Annotated[float, Names("CLAUDE_PROXY_DRAIN_DELAY")] = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How long `serve` goes on accepting requests after SIGTERM, while it says that it is not "
        "ready, in seconds.",
    )
    drain_timeout: Annotated[float, Names("CLAUDE_PROXY_DRAIN_TIMEOUT", "claude_drain_timeout", "--drain-timeout")] = (
        Field(
            default=10,
            ge=0,
            allow_inf_nan=False,
            description="How long running answers may take to end when the proxy ends, in seconds.",
        )
    )


class LoggingSettings(Section):
    """What is written to standard output."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Names("LOG_LEVEL", "claude_log_level", "--log-level"),
        BeforeValidator(upper),
    ] = Field(default="INFO", description="Lowest level that is logged.")
    format: Annotated[
        Literal["json", "console"],
        Names("CLAUDE_PROXY_LOG_FORMAT", "claude_log_format", "--log-format"),
        BeforeValidator(lower),
    ] = Field(default="json", description="One JSON object per line, or text for people.")
    content: Annotated[
        Literal["off", "hash", "full"],
        Names("CLAUDE_PROXY_LOG_CONTENT", "claude_log_content"),
        BeforeValidator(lower),
    ] = Field(
        default="off",
        description="What the log holds of prompts and answers: nothing, their length and hash, or everything "
        "except keys.",
    )


class StoreSettings(Section):
    """What is kept of responses and conversations, so that clients can name them later."""

    path: Annotated[
        Path | None,
        Names("CLAUDE_PROXY_STORE_PATH", "claude_store_path"),
        AfterValidator(lambda v: v and v.expanduser()),
    ] = Field(
        default=None,
        description="SQLite file for stored responses and conversations; unset means store.sqlite3 in the user's "
        "state folder. :memory: keeps them until the process ends.",
    )
    redis_url: Annotated[
        SecretStr | None, Names("CLAUDE_PROXY_REDIS_URL"), AfterValidator(lambda v: v and redis_url(v))
    ] = Field(
        default=None,
        description="Redis to use in place of the SQLite file, such as redis://host:6379/0. From the environment "
        "or the file only, because it may hold a password.",
    )
    seconds_to_live: Annotated[Seconds, Names("CLAUDE_PROXY_STORE_TTL", "claude_store_ttl")] = Field(
        default=30 * 24 * 3600, description="How long stored objects are kept after their last use, in seconds."
    )
    max_bytes: Annotated[int, Names("CLAUDE_PROXY_STORE_MAX_BYTES", "claude_store_max_bytes")] = Field(
        default=1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Largest size of the SQLite file, in bytes; what has not been used for longest is dropped "
        "first. Redis has a limit of its own, maxmemory.",
    )
    secret_file: Annotated[
        Path | None,
        Names("CLAUDE_PROXY_SECRET_FILE", "claude_secret_file"),
        AfterValidator(lambda v: v and v.expanduser()),
    ] = Field(
        default=None,
        description="File with the secret that seals encrypted_content, made at first use; unset means a file "
        "named secret beside the store.",
    )
    secret: Annotated[SecretStr | None, Names("CLAUDE_PROXY_SECRET")] = Field(
        default=None,
        description="That secret itself, for several machines that answer the same clients. "
        "From the environment or the file only.",
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
        description="Port on 127.0.0.1 where this process shows its metrics, for `mitmdump -s`; unset means none, "
        "0 takes a free one.",
    )


class TracingSettings(Section):
    """Whether OpenTelemetry hears of exchanges. Where and how is said by its own variables, `OTEL_...`."""

    enabled: Annotated[bool, Names("CLAUDE_PROXY_TRACES", "claude_traces"), AfterValidator(needs_otel)] = Field(
        default=False,
        description="Send a trace of each exchange by OTLP over HTTP, to OTEL_EXPORTER_OTLP_ENDPOINT. Needs the extra "
        "otel.",
    )
