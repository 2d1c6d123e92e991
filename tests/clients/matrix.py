"""The matrix: what is asked of every foreign client, in each API that it speaks."""

from collections.abc import Iterator

from tests.clients.catalogue import CANNOT, KNOWN_GAPS
from tests.clients.client_program import Client, WayName

FEATURES = (
    "text",
    "stream",
    "tools over three turns",
    "parallel tools",
    "structured output",
    "image",
    "PDF",
    "errors",
    "rate limit, and retry",
    "a stream is left",
)
"""The columns. A program calls a feature by its API and one of these: "chat: text"."""

MESSAGES = "messages"
"""Claude's own API, which the endpoint alone serves: as a proxy, Claude's own host is passed through."""


def apis_of(client: Client, way: WayName) -> tuple[str, ...]:
    """Name the APIs that a client speaks with us in one way in."""
    return tuple(api for api in client.apis if way in ways_of(client, api))


def ways_of(client: Client, api: str) -> tuple[WayName, ...]:
    """Name the ways in that a client has for one API."""
    return tuple(way for way in client.ways if api != MESSAGES or way == "base_url")


def cells_of(client: Client, way: WayName) -> Iterator[str]:
    """Name the cells that a run has to fill: all, but those that the client cannot."""
    for api in apis_of(client, way):
        for feature in FEATURES:
            if (client.folder, f"{api}: {feature}") not in CANNOT:
                yield f"{api}: {feature}"


def reason_against(client: Client, name: str) -> str | None:
    """Say why a cell does not hold, None where it does."""
    return CANNOT.get((client.folder, name)) or KNOWN_GAPS.get((client.folder, name))
