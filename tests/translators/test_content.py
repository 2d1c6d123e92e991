"""Images, files and audio: the I cases."""

import base64
from typing import Any

import pytest

from translators.content import translate_file, translate_image
from translators.errors import OpenAIError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)
GIF = b"GIF89a" + bytes(40)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(40)
PDF = b"%PDF-1.7\n" + bytes(40)


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("declared", "data", "sent"),
    [
        ("image/png", PNG, "image/png"),
        ("image/jpg", JPEG, "image/jpeg"),
        ("image/jfif", JPEG, "image/jpeg"),
        ("image/png", JPEG, "image/jpeg"),
        ("image/jpeg", WEBP, "image/webp"),
        ("", GIF, "image/gif"),
        ("image/png;name=a.png", PNG, "image/png"),
        ("IMAGE/PNG", PNG, "image/png"),
    ],
    ids=["png", "I1-jpg", "I1-jfif", "I2-jpeg-called-png", "I2-webp-called-jpeg", "no-type", "parameters", "capitals"],
)
def test_I2_the_bytes_say_what_an_image_is(declared, data, sent):
    block = translate_image(data_url(declared, data), "p")
    assert block == {"type": "image", "source": {"type": "base64", "media_type": sent, "data": base64_of(data)}}


@pytest.mark.parametrize(
    "url",
    [
        data_url("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        data_url("image/tiff", b"II*\x00" + bytes(40)),
        data_url("image/png", b"no image at all"),
        data_url("image/png", b""),
        "data:image/png;base64,%%%",
    ],
    ids=["svg", "tiff", "no-image", "empty", "no-base64"],
)
def test_I1_other_images_are_refused_in_openais_words(url):
    with pytest.raises(OpenAIError) as caught:
        translate_image(url, "messages[0].content[1].image_url.url")
    assert (caught.value.status, caught.value.code) == (400, "invalid_image_format")
    assert "unsupported image" in caught.value.message


@pytest.mark.parametrize("url", ["https://example.org/cat.png", "HTTP://example.org/cat"])
def test_I3_a_url_is_a_url_source(url):
    assert translate_image(url, "p") == {"type": "image", "source": {"type": "url", "url": url}}


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://example.org/a.png", base64_of(PNG)])
def test_I3_other_schemes_are_refused(url):
    with pytest.raises(OpenAIError) as caught:
        translate_image(url, "p")
    assert (caught.value.code, caught.value.param) == ("invalid_image_url", "p")


def test_white_space_in_base64_is_taken_out():
    encoded = base64_of(PNG)
    broken = f"data:image/png;base64,{encoded[:20]}\r\n{encoded[20:]}"
    assert translate_image(broken, "p")["source"]["data"] == encoded


def test_a_data_url_without_base64_is_encoded():
    assert translate_image("data:image/gif,GIF89a%00%00", "p")["source"]["data"] == base64_of(b"GIF89a\x00\x00")


def test_I4_a_pdf_may_begin_with_what_readers_pass_over():
    content = b"\xef\xbb\xbf\n" + PDF
    block = translate_file(data_url("application/pdf", content), None, None, "p")
    assert block["source"] == {"type": "base64", "media_type": "application/pdf", "data": base64_of(content)}


@pytest.mark.parametrize("data", [data_url("application/pdf", PDF), base64_of(PDF)], ids=["data-url", "bare"])
def test_I4_a_pdf_is_a_document_with_its_name(data):
    assert translate_file(data, None, "report.pdf", "p") == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": base64_of(PDF)},
        "title": "report.pdf",
    }


@pytest.mark.parametrize(
    ("declared", "filename"),
    [
        ("text/plain", "a.txt"),
        ("text/markdown", None),
        ("application/json", "a.json"),
        ("application/vnd.api+json", None),
        ("", "notes.md"),
        ("application/octet-stream", "main.py"),
    ],
)
def test_I4_text_of_any_kind_is_a_plain_text_document(declared, filename):
    block = translate_file(data_url(declared, "Grüße".encode()), None, filename, "p")
    source: dict[str, Any] = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert block == {"type": "document", "source": source, **({"title": filename} if filename else {})}


def test_an_image_as_a_file_is_an_image():
    assert translate_file(data_url("image/png", PNG), None, "a.png", "p")["type"] == "image"


def test_an_uploaded_file_is_a_file_source():
    assert translate_file(None, "file_011", "a.pdf", "p") == {
        "type": "document",
        "source": {"type": "file", "file_id": "file_011"},
        "title": "a.pdf",
    }


@pytest.mark.parametrize(
    ("file_data", "filename"),
    [
        (data_url("application/zip", b"PK\x03\x04" + bytes(40)), "a.zip"),
        (data_url("text/plain", b"\xff\xfe\x00"), "a.txt"),
        (data_url("text/plain", b""), "a.txt"),
        ("@@@", "a.bin"),
    ],
    ids=["zip", "no-utf-8", "empty", "no-base64"],
)
def test_other_files_are_refused(file_data, filename):
    with pytest.raises(OpenAIError) as caught:
        translate_file(file_data, None, filename, "messages[0].content[0].file")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "messages[0].content[0].file.file_data")


def test_a_part_without_a_file_is_refused():
    with pytest.raises(OpenAIError) as caught:
        translate_file(None, None, None, "messages[0].content[0].file")
    assert caught.value.code == "missing_required_parameter"


def test_audio_is_refused_by_its_place(translate):
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(OpenAIError) as caught:
        translate(messages=[{"role": "user", "content": [{"type": "text", "text": "Listen"}, part]}])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "messages[0].content[1]")
