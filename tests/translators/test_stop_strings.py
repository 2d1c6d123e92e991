import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.stop_strings import StopStringCutter


def cut(stops, *pieces):
    cutter = StopStringCutter(stops)
    text = "".join(cutter.feed(piece) for piece in pieces)
    return text + cutter.flush(), cutter.found


@given(
    st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple),
    st.lists(st.text("ab\nc", max_size=5), max_size=8),
)
def test_P7_a_stop_string_is_found_however_the_text_is_cut(stops, pieces):
    text = "".join(pieces)
    assert cut(stops, *pieces) == cut(stops, text)
    kept, found = cut(stops, text)
    assert found == any(stop in text for stop in stops)
    assert text.startswith(kept)
    assert not any(stop in kept for stop in stops)
    if not found:
        assert kept == text


@pytest.mark.parametrize(
    ("stops", "fed", "passed"),
    [
        (("\n\n",), "a\n", "a"),
        (("\n\n",), "a\nb", "a\nb"),
        (("STOP",), "xSTO", "x"),
        (("STOP",), "xSTA", "xSTA"),
        (("aab",), "xaaa", "xa"),
        (("ab", "xyz"), "1xy", "1"),
    ],
)
def test_no_more_is_held_back_than_may_become_a_stop_string(stops, fed, passed):
    assert StopStringCutter(stops).feed(fed) == passed


def test_after_a_stop_string_nothing_passes():
    cutter = StopStringCutter(("x",))
    assert cutter.feed("ax") == "a"
    assert cutter.found
    assert cutter.feed("more") == ""
    assert cutter.flush() == ""


def test_an_empty_stop_string_stops_nothing():
    assert cut(("",), "abc") == ("abc", False)
