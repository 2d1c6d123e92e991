"""Headers as a dictionary, and an origin."""

import pytest

from addon.wire.header_fields import folded, folded_fields, is_same_host


def test_names_are_in_lower_case_and_values_of_one_name_become_a_list():
    headers = [("Accept", "a"), ("X-Key", "1"), ("accept", "b, c"), ("empty", "")]
    assert folded(headers) == {"accept": "a, b, c", "x-key": "1", "empty": ""}


def test_bytes_are_read_as_text_and_none_is_lost():
    fields = [(b"X-Name", "Größe".encode()), (b"x-raw", b"\xff"), (b"X-NAME", b"2")]
    read = folded_fields(fields)
    assert read == {"x-name": "Größe, 2", "x-raw": "\udcff"}
    assert read["x-raw"].encode("utf-8", "surrogateescape") == b"\xff"


def test_another_encoding_can_be_named():
    assert folded_fields([(b"x", b"\xe4")], "latin-1") == {"x": "ä"}


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://Proxy.Example", "proxy.example", True),
        ("http://localhost:5173", "localhost:8000", False),
        ("http://localhost:8000.page.example", "localhost:8000", False),
        ("http://[::1", "[::1]", False),
        ("null", "localhost:8000", False),
        ("null", "", False),
        ("", "", False),
    ],
)
def test_an_origin_is_of_the_same_host_to_the_port(origin, host, same):
    assert is_same_host(origin, host) is same
