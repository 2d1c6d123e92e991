"""Forms with files, as they come and as they should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.multipart import parse_form
from translators.errors import OpenAIError

FORM = "multipart/form-data; boundary=XX"


def form_of(**fields: bytes) -> bytes:
    parts = [
        b'--XX\r\nContent-Disposition: form-data; name="%b"; filename="f"\r\n\r\n%b\r\n' % (name.encode(), data)
        for name, data in fields.items()
    ]
    return b"".join(parts) + b"--XX--\r\n"


def test_fields_and_files_are_read_with_their_names():
    body = (
        b"a preamble\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b"--XX\r\nContent-Type: text/plain\r\n"
        b'content-disposition: form-data; name="file"; filename="a \\"b\\" \xc3\xbc"\r\n'
        b"\r\n\x00\xff\r\n\r\n--XY\r\n\r\n--XX--\r\nan epilogue"
    )
    form = parse_form(FORM, body)
    assert (form["purpose"].text, form["purpose"].filename) == ("batch", None)
    assert form["file"].filename == 'a "b" ü'
    assert form["file"].data == b"\x00\xff\r\n\r\n--XY\r\n"


def test_an_extended_filename_is_decoded():
    body = b"--XX\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%C3%BC.txt\r\n\r\nx\r\n--XX--"
    assert parse_form('multipart/form-data; boundary="XX"', body)["file"].filename == "ü.txt"


@given(st.binary().filter(lambda data: b"--XX" not in data))
def test_any_bytes_come_back_as_they_were(data):
    assert parse_form(FORM, form_of(file=data))["file"].data == data


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", form_of(file=b"x")),
        ("", form_of(file=b"x")),
        ("multipart/form-data", form_of(file=b"x")),
        (FORM, b""),
        (FORM, form_of(file=b"x")[:-6]),
        (FORM, b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--"),
        (FORM, b"--XX\r\nContent-Disposition: form-data; name=a\r\n--XX--"),
    ],
    ids=["json", "none", "no_boundary", "empty", "cut", "nameless", "headless"],
)
def test_what_is_no_form_is_a_400(content_type, body):
    with pytest.raises(OpenAIError) as caught:
        parse_form(content_type, body)
    assert caught.value.status == 400
