"""Hostile bytes: JSON that was right, changed in its middle; values that no app would send; streams cut anywhere."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

type Path = tuple[Any, ...]


class Text(str):
    """JSON as it is to be written, for what Python's values cannot say."""

    __slots__ = ()


class Pairs(tuple[tuple[str, Any], ...]):
    """An object with its members in this order, names that come twice among them."""

    __slots__ = ()


STRINGS = (
    "",
    " ",
    "\0",
    "a\r\nx-injected: yes",
    "\ud800",
    "\udc00\ud800",
    "\U0001f600",
    "\u2028\u2029\x85",
    "\u202eevil",
    "x" * 5000,
    "../../etc/passwd",
    "%00%0d%0a",
    "data:image/png;base64,",
    "data:;base64,%%%",
    "data:application/pdf;base64,JVBERi0=",
    "http://169.254.169.254/latest",
    "file:///etc/passwd",
    "{",
    '{"input":"\\ud83d',
    "$",
    "#/$defs/a",
    "__proto__",
)
NUMBERS = (
    *(0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 2**70),
    *(-0.0, 0.1, 1e308, 5e-324, Text("1e999"), Text("-1e999"), Text("1" * 400), Text("1" * 5000), Text("-0")),
)
DEEP = tuple(
    Text(opening * depth + inner + closing * depth)
    for depth in (100, 127, 129, 1200, 9_985, 9_997, 20_000)
    for opening, inner, closing in (("[", "", "]"), ('{"a":', "1", "}"), ('{"anyOf":[', "{}", "]}"), ("[", "1", ""))
)
NOT_JSON = (
    Text("NaN"),
    Text("Infinity"),
    Text("'a'"),
    Text("tru"),
    Text(""),
    Text("\ufeff{}"),
    Text('"\t"'),
    Text("01"),
)

_any_text = st.text(st.characters(categories=None), max_size=12)  # surrogates too
_scalars = st.one_of(
    st.sampled_from([None, True, False, {}, [], [None], {"": ""}, [[]], {"type": "text"}, {"$ref": "#"}]),
    st.sampled_from(STRINGS),
    st.sampled_from(NUMBERS),
    st.sampled_from(DEEP + NOT_JSON),
    st.integers(),
    st.floats(),
    _any_text,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_any_text, inner, max_size=3), max_leaves=6
)


def encode(value: Any) -> str:
    """Write a value as JSON, or as what it has instead of it."""
    match value:
        case Text():
            return str(value)
        case Pairs():
            return f"{{{','.join(f'{json.dumps(name)}:{encode(member)}' for name, member in value)}}}"
        case dict():
            return encode(Pairs(value.items()))
        case list() | tuple():
            return f"[{','.join(map(encode, value))}]"
        case _:
            return json.dumps(value)


def encode_bytes(value: Any) -> bytes:
    """Write a value as JSON in bytes; lone surrogates that stand outside of escapes are no UTF-8."""
    return encode(value).encode("utf-8", "surrogatepass")


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """List the places in a value, its root first."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from paths_of(member, (*path, name))


def look_up(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value


def put(value: Any, path: Path, member: Any) -> Any:
    """Return a copy with another member at a place."""
    if not path:
        return member
    name, *rest = path
    if isinstance(value, dict):
        return {**value, name: put(value[name], tuple(rest), member)}
    return [put(own, tuple(rest), member) if index == name else own for index, own in enumerate(value)]


def _without(value: Any, path: Path) -> Any:
    *parents, name = path
    parent = look_up(value, tuple(parents))
    if isinstance(parent, dict):
        kept: Any = {key: member for key, member in parent.items() if key != name}
    else:
        kept = [member for index, member in enumerate(parent) if index != name]
    return put(value, tuple(parents), kept)


def _twice(value: Any, path: Path, other: Any) -> Any:
    *parents, name = path
    parent = look_up(value, tuple(parents))
    if isinstance(parent, dict):
        return put(value, tuple(parents), Pairs((*parent.items(), (name, other))))
    return put(value, tuple(parents), [*parent, *parent])


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[Any], most: int = 4) -> Any:
    """Draw a value that was right once: members replaced, dropped, doubled, or taken from elsewhere."""
    value = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        path = draw(st.sampled_from(list(paths_of(value))))
        how = draw(st.sampled_from(["replace", "drop", "double", "graft", "graft", "add"]))
        if how in ("drop", "double") and path:
            value = _without(value, path) if how == "drop" else _twice(value, path, draw(VALUES))
        elif how == "graft":
            other = draw(st.sampled_from(seeds))
            value = put(value, path, look_up(other, draw(st.sampled_from(list(paths_of(other))))))
        elif how == "add" and isinstance(parent := look_up(value, path), dict):
            value = put(value, path, {**parent, draw(_any_text): draw(VALUES)})
        else:
            value = put(value, path, draw(VALUES))
        if not isinstance(value, dict | list):
            break
    return value


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Draw bytes that are now and then cut, or have others in their middle."""
    data = draw(whole)
    if data and draw(st.integers(0, 7)) == 0:
        start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        data = data[:start] + draw(st.binary(max_size=8)) + data[end if draw(st.booleans()) else start :]
    return data


def json_bytes(seeds: Sequence[Any], most: int = 4) -> st.SearchStrategy[bytes]:
    """Draw the bytes of a body."""
    return damaged(changed(seeds, most).map(encode_bytes))


@st.composite
def pieces(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    """Draw bytes in the pieces that a socket might give."""
    data = draw(whole)
    borders = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *borders], [*borders, len(data)], strict=True)]


def sse(events: Sequence[Mapping[str, Any] | Any], line_end: str = "\n") -> bytes:
    """Write events as Claude sends them."""
    written = []
    for event in events:
        name = event.get("type") if isinstance(event, dict) else None
        written.append(f"event: {name}{line_end}data: {encode(event)}{line_end}{line_end}")
    return "".join(written).encode("utf-8", "surrogatepass")
