"""The JSON of a request: decoded to its fields or to a typed value, or OpenAI's own error for what it is instead."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw

from translators.request_errors import translate_validation_error, unparsable_body

__all__ = ["decode_fields", "decode_request"]

_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_UNPARSABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def decode_fields(body: bytes) -> dict[str, Raw]:
    """Decode an object to its fields, each still JSON.

    Raises:
        OpenAIError: 400 for what is no JSON object.
    """
    try:
        return _fields_decoder.decode(body)
    except _UNPARSABLE as error:
        raise unparsable_body() from error


def decode_request[Request](
    decoder: msgspec.json.Decoder[Request], body: bytes, values: Mapping[str, tuple[str, ...]] = _NO_VALUES
) -> Request:
    """Decode what is typed.

    Args:
        decoder: of its type.
        body: the JSON text.
        values: the values of closed fields, as `translate_validation_error` takes them.

    Raises:
        OpenAIError: 400 for what is no JSON, or has another shape.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise translate_validation_error(str(error), values) from error
    except _UNPARSABLE as error:
        raise unparsable_body() from error
