"""What images are by their bytes, written by hand."""

import base64
import struct

import pytest

from addon.simulated_claude.images import decode_base64, image_size, sniff_media_type

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)
GIF = b"GIF89a" + struct.pack("<HH", 320, 200)
JPEG = b"\xff\xd8\xff\xe0\x00\x04\0\0" + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64) + b"\0" * 10
LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 100, 50)
LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", (9 - 1) | (7 - 1) << 14)
EXTENDED = b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + (299).to_bytes(3, "little") + (199).to_bytes(3, "little")


@pytest.mark.parametrize(
    ("data", "media_type", "size"),
    [
        (PNG, "image/png", (640, 480)),
        (GIF, "image/gif", (320, 200)),
        (JPEG, "image/jpeg", (64, 48)),
        (LOSSY, "image/webp", (100, 50)),
        (LOSSLESS, "image/webp", (9, 7)),
        (EXTENDED, "image/webp", (300, 200)),
        (b"BM\0\0", None, None),
        (b"", None, None),
    ],
    ids=["png", "gif", "jpeg", "webp lossy", "webp lossless", "webp extended", "bitmap", "nothing"],
)
def test_type_and_size_are_read_from_the_bytes(data, media_type, size):
    assert sniff_media_type(data) == media_type
    assert image_size(base64.b64encode(data).decode()) == size


@pytest.mark.parametrize("cut", [PNG[:18], JPEG[:10], GIF[:7], EXTENDED[:20]], ids=["png", "jpeg", "gif", "webp"])
def test_a_header_that_is_cut_off_tells_no_size_and_raises_nothing(cut):
    assert image_size(base64.b64encode(cut).decode()) in {None, (1, 1)}


def test_what_is_not_base64_is_told():
    assert decode_base64("%") is None
    assert decode_base64("aGk=") == b"hi"
