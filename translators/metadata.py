"""The `metadata` that OpenAI keeps with an object, pairs of strings: OpenAI's own errors, which name the key.

Words, codes and params as they were seen: https://github.com/spiceai/docs/issues/928 (a long value),
https://github.com/thiswillbeyourgithub/openwebui_custom_pipes_filters/issues/3 (too many pairs),
https://github.com/openai/codex/issues/26402 (a long name, of other properties),
https://community.openai.com/t/whats-the-format-of-the-metadata-field-in-assistant-api/624266 (no string).
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from translators.errors import OpenAIError

__all__ = ["check_metadata", "name_wrong_pair"]

_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_WRONG_PAIR = "`$.metadata[...]`"
_pairs_decoder = msgspec.json.Decoder(dict[str, Raw])


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Hold the pairs to OpenAI's limits.

    Raises:
        OpenAIError: 400.
    """
    if len(metadata) > _MAX_PAIRS:
        what = f"an object with at most {_MAX_PAIRS} properties, but got an object with {len(metadata)} properties"
        message = f"Invalid 'metadata': too many properties. Expected {what} instead."
        raise OpenAIError(400, message, code="object_above_max_properties", param="metadata")
    for key, value in metadata.items():
        name, param = _shown(key), f"metadata.{_shown(key)}"
        if len(key) > _MAX_KEY:
            message = f"Invalid property name in 'metadata': '{name}' is too long. {_expected(_MAX_KEY, key)}"
            raise OpenAIError(400, message, code="property_name_above_max_length", param=param)
        if len(value) > _MAX_VALUE:
            message = f"Invalid '{param}': string too long. {_expected(_MAX_VALUE, value)}"
            raise OpenAIError(400, message, code="string_above_max_length", param=param)


def name_wrong_pair(message: str, body: bytes) -> str:
    """Put its key into msgspec's message about a pair of a body, where that writes `[...]`: it is no string."""
    if _WRONG_PAIR not in message:
        return message
    try:
        pairs = _pairs_decoder.decode(_pairs_decoder.decode(body)["metadata"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # it breaks off, or more is wrong with it
        return message
    wrong = next((key for key, value in pairs.items() if not bytes(value).startswith(b'"')), None)
    return message if wrong is None else message.replace(_WRONG_PAIR, f"`$.metadata.{_shown(wrong)}`")


def _expected(most: int, text: str) -> str:
    return f"Expected a string with maximum length {most}, but got a string with length {len(text)} instead."


def _shown(key: str) -> str:
    return key if len(key) <= _MAX_KEY else f"{key[:3]}...{key[-3:]}"
