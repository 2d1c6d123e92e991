"""The JSON of a request: decoded to its fields or to a typed value, or OpenAI's own error for what it is instead."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw

from translators.metadata import name_wrong_pair
from translators.request_errors import missing_parameter, translate_validation_error, unparsable_body

__all__ = ["decode_fields", "decode_for_deployment", "decode_request"]

_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_json_decoder = msgspec.json.Decoder(Raw)
_UNPARSABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def decode_fields(body: bytes) -> dict[str, Raw]:
    """Decode an object to its fields, each still JSON.

    Raises:
        OpenAIError: 400 for what is no JSON object.
    """
    return decode_request(_fields_decoder, body)


def decode_for_deployment(
    body: bytes, required: tuple[str, ...], deployment: str | None
) -> tuple[dict[str, Raw], bytes]:
    """Decode an object to its fields; return them, and the body with the model that counts.

    Args:
        body: the JSON text.
        required: the fields that have to be there, `model` among them, in the order of their errors.
        deployment: the model that the path names (Azure's deployments): it counts, whatever the body says.

    Raises:
        OpenAIError: 400 for what is no JSON object, or lacks a field.
    """
    fields = decode_fields(body)
    if deployment:
        fields["model"] = Raw(msgspec.json.encode(deployment))
        body = msgspec.json.encode(fields)
    for name in required:
        if name not in fields:
            raise missing_parameter(name)
    return fields, body


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
        # The first wrong type ends the decoding: whether there is JSON behind it is still to be seen.
        if not _is_json(body):
            raise unparsable_body() from error
        raise translate_validation_error(name_wrong_pair(str(error), body), values) from error
    except _UNPARSABLE as error:
        raise unparsable_body() from error


def _is_json(body: bytes) -> bool:
    try:
        _json_decoder.decode(body)
    except _UNPARSABLE:
        return False
    return True
