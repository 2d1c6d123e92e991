"""Compressed request bodies (`Content-Encoding`), unpacked up to a limit: a small body must not fill the memory."""

import zlib
from collections.abc import Callable

import brotli
import zstandard

from addon.wire.request_stream import too_large
from translators.errors import OpenAIError

__all__ = ["decode_body"]

_MOST_ENCODINGS = 4
"""Each one unpacks a body of the full size; a thousand would hold everybody else up for a minute."""
_MOST_MEMBERS = 10_000
"""Of a gzip body: so many would take as long, if each held nothing."""
_PIECE = 64 * 1024
"""Bytes that are unpacked at once: what they hold of the next member is copied."""


def decode_body(body: bytes, content_encoding: str, limit: int) -> bytes:
    """Undo the encodings of a body, the last applied first.

    Args:
        body: the bytes as they came.
        content_encoding: the header's value: a list of gzip, deflate, br, zstd, identity.
        limit: largest size in bytes of what comes out, at each step.

    Raises:
        OpenAIError: 415 for an unknown encoding or too many, 400 for bytes that are not in it, 413 over the limit.
    """
    names = [part.strip().lower() for part in content_encoding.split(",") if part.strip()]
    if len(names) > _MOST_ENCODINGS:
        raise OpenAIError(415, f"Unsupported Content-Encoding: more than {_MOST_ENCODINGS} on top of each other.")
    for name in reversed(names):
        decoder = _DECODERS.get(name)
        if decoder is None:
            raise OpenAIError(415, f"Unsupported Content-Encoding: '{name[:40]}'. Use gzip, deflate, br or zstd.")
        try:
            body = decoder(body, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
            raise OpenAIError(400, f"The request body is not valid {name}.") from error
        if len(body) > limit:
            raise too_large(limit)
    return body


def _inflate(window_bits: int) -> Callable[[bytes, int], bytes]:
    def decode(body: bytes, limit: int) -> bytes:
        inflater = zlib.decompressobj(window_bits)
        decoded = inflater.decompress(body, limit + 1)
        if len(decoded) <= limit and not inflater.eof:
            raise EOFError
        return decoded

    return decode


def _decode_gzip(body: bytes, limit: int) -> bytes:
    decoded, at = bytearray(), 0
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not inflater.eof:
            piece = body[at : at + _PIECE]
            if not piece:
                raise EOFError
            decoded += inflater.decompress(piece, limit + 1 - len(decoded))
            if len(decoded) > limit:
                return bytes(decoded)
            at += len(piece) - len(inflater.unused_data)
        if at == len(body):
            return bytes(decoded)
    raise EOFError


def _inflate_either(body: bytes, limit: int) -> bytes:
    try:
        return _inflate(zlib.MAX_WBITS)(body, limit)
    except zlib.error:
        # "deflate" should be zlib's format; some clients send the bare one (RFC 9110, 8.4.1.2).
        return _inflate(-zlib.MAX_WBITS)(body, limit)


def _decode_brotli(body: bytes, limit: int) -> bytes:
    decoder = brotli.Decompressor()
    decoded: bytes = decoder.process(body, output_buffer_limit=limit + 1)
    while len(decoded) <= limit and not decoder.is_finished():
        piece = decoder.process(b"", output_buffer_limit=limit + 1 - len(decoded))
        if not piece:
            raise EOFError
        decoded += piece
    return decoded


def _decode_zstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        decoded = b""
        while len(decoded) <= limit and (piece := reader.read(limit + 1 - len(decoded))):
            decoded += piece
    return decoded


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _decode_gzip,
    "x-gzip": _decode_gzip,
    "deflate": _inflate_either,
    "br": _decode_brotli,
    "zstd": _decode_zstd,
    "identity": lambda body, _limit: body,
}
