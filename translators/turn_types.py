"""The turns of a conversation, as the endpoints read them and before Claude's order is given to them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from translators.content import Block

__all__ = ["AssistantTurn", "Call", "Recall", "ResultTurn", "SystemTurn", "Turn", "UserTurn"]

type Recall = Callable[[str], Sequence[Mapping[str, Any]] | None]
"""Finds the content blocks of the answer that made a tool call, by the call's id, exactly as Claude sent them."""


class SystemTurn(Struct, frozen=True):
    """Instructions of the developer."""

    blocks: tuple[Block, ...]


class UserTurn(Struct, frozen=True):
    """Words of the user."""

    blocks: tuple[Block, ...]


class Call(Struct, frozen=True):
    """A tool call in the history: the client's id, Claude's name of the tool."""

    id: str
    name: str
    input: Mapping[str, Any]


class AssistantTurn(Struct, frozen=True):
    """An answer of the model."""

    blocks: tuple[Block, ...]
    calls: tuple[Call, ...] = ()


class ResultTurn(Struct, frozen=True):
    """The result of a tool call, by the client's id."""

    id: str
    blocks: tuple[Block, ...]
    cache_control: Mapping[str, Any] | None = None


type Turn = SystemTurn | UserTurn | AssistantTurn | ResultTurn
