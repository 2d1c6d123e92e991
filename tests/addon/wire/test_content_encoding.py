import contextlib
import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from addon.wire.content_encoding import decode_body
from translators.errors import OpenAIError

BODY = b'{"model": "gpt-4o", "messages": []}' * 50
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_E12_each_encoding_is_undone(name: str) -> None:
    assert decode_body(ENCODERS[name](BODY), name.upper(), len(BODY)) == BODY


def test_E12_deflate_without_its_zlib_frame_is_undone() -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decode_body(compressor.compress(BODY) + compressor.flush(), "deflate", len(BODY)) == BODY


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_body_of_several_members_is_all_of_them(compress: Callable[[bytes], bytes]) -> None:
    """RFC 1952, 2.2, and RFC 8878, 3: what was compressed piece by piece."""
    name = "gzip" if compress is gzip.compress else "zstd"
    body = compress(BODY[:100]) + compress(b"") + compress(BODY[100:])
    assert decode_body(body, name, len(BODY)) == BODY
    with pytest.raises(OpenAIError) as refused:
        decode_body(body, name, len(BODY) - 1)
    assert refused.value.status == 413


def test_what_follows_a_gzip_member_and_is_none_is_refused() -> None:
    for rest in (b"garbage", gzip.compress(BODY)[:-1], gzip.compress(b"") * 10_000):
        with pytest.raises(OpenAIError) as refused:
            decode_body(gzip.compress(BODY) + rest, "gzip", 3 * len(BODY))
        assert refused.value.status == 400


def test_E12_stacked_encodings_are_undone_from_the_last_to_the_first() -> None:
    assert decode_body(zstandard.compress(brotli.compress(gzip.compress(BODY))), "gzip, br,zstd", 10_000) == BODY


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_small_body_cannot_fill_the_memory(name: str) -> None:
    bomb = ENCODERS[name](bytes(64 * 1024 * 1024))
    with pytest.raises(OpenAIError) as refused:
        decode_body(bomb, name, 100_000)
    assert (refused.value.status, refused.value.code) == (413, "request_too_large")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bytes_of_another_encoding_are_a_clear_400(name: str) -> None:
    with pytest.raises(OpenAIError, match=f"not valid {name}") as refused:
        decode_body(b"certainly not compressed", name, 100_000)
    assert refused.value.status == 400


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_truncated_body_never_decodes_to_the_whole(name: str) -> None:
    decoded = None
    with contextlib.suppress(OpenAIError):
        decoded = decode_body(ENCODERS[name](BODY)[:-6], name, 100_000)
    assert decoded != BODY


def test_an_unknown_encoding_is_415() -> None:
    with pytest.raises(OpenAIError, match="'snappy'") as refused:
        decode_body(b"", "snappy", 10)
    assert refused.value.status == 415


def test_a_body_in_too_many_encodings_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(OpenAIError, match="more than 4") as raised:
        decode_body(b"no gzip", ", ".join(["gzip"] * 5), 10_000)
    assert raised.value.status == 415
