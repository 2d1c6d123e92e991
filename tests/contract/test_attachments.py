"""Images and files, as the SDK sends them: in data URLs."""

import base64
import struct
import zlib
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.contract.simulated_upstream import SimulatedUpstream


def png(width: int = 2, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


JPEG = base64.b64decode("/9j/4AAQSkZJRgABAQAAAQABAAD/wAALCAACAAIBAREA/9k=")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def ask(client: OpenAI, *parts: Any) -> str:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]
    return client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content or ""


@pytest.mark.parametrize(
    ("declared", "data", "sent"),
    [("image/png", png(), "image/png"), ("image/jpg", JPEG, "image/jpeg"), ("image/png", JPEG, "image/jpeg")],
    ids=["png", "I1_jpg", "I2_jpeg_called_png"],
)
def test_I1_I2_an_image_in_a_data_url_reaches_claude(
    client: OpenAI, claude: SimulatedUpstream, declared: str, data: bytes, sent: str
) -> None:
    text = ask(client, {"type": "image_url", "image_url": {"url": data_url(declared, data), "detail": "high"}})
    assert "sent an image" in text
    source = claude.last["messages"][0]["content"][1]["source"]
    assert source == {"type": "base64", "media_type": sent, "data": base64.b64encode(data).decode()}


def test_an_image_by_its_url_is_left_to_claude(client: OpenAI, claude: SimulatedUpstream) -> None:
    ask(client, {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}})
    assert claude.last["messages"][0]["content"][1]["source"] == {"type": "url", "url": "https://example.com/cat.png"}


def test_I1_an_image_that_claude_cannot_see_is_refused_before(client: OpenAI, claude: SimulatedUpstream) -> None:
    with pytest.raises(BadRequestError) as raised:
        ask(client, {"type": "image_url", "image_url": {"url": data_url("image/svg+xml", b"<svg/>")}})
    assert raised.value.code == "invalid_image_format"
    assert claude.calls == []


def test_I4_a_pdf_reaches_claude_with_its_name(client: OpenAI, claude: SimulatedUpstream) -> None:
    part = {"type": "file", "file": {"filename": "report.pdf", "file_data": data_url("application/pdf", PDF)}}
    assert "sent a document" in ask(client, part)
    document = claude.last["messages"][0]["content"][1]
    assert document["title"] == "report.pdf"
    assert base64.b64decode(document["source"]["data"]) == PDF


def test_I4_a_text_file_reaches_claude_as_text(client: OpenAI, claude: SimulatedUpstream) -> None:
    part = {"type": "file", "file": {"filename": "notes.txt", "file_data": data_url("text/plain", "Grüße".encode())}}
    assert "sent a document" in ask(client, part)
    source = claude.last["messages"][0]["content"][1]["source"]
    assert source == {"type": "text", "media_type": "text/plain", "data": "Grüße"}


def test_sound_is_refused_because_no_claude_hears(client: OpenAI, claude: SimulatedUpstream) -> None:
    with pytest.raises(BadRequestError) as raised:
        ask(client, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})
    assert "audio" in raised.value.message
    assert claude.calls == []
