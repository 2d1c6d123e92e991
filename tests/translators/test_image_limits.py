"""The operator's bounds on images."""

import base64

import pytest

from translators.errors import OpenAIError
from translators.image_limits import require_images_within


def image(size=10):
    data = base64.b64encode(b"x" * size).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


LINKED = {"type": "image", "source": {"type": "url", "url": "https://images.example/a.png"}}
TEXT = {"type": "text", "text": "Hello"}


def messages(*blocks):
    result = {"type": "tool_result", "tool_use_id": "a", "content": [image()]}
    return [{"role": "user", "content": "Hello"}, {"role": "user", "content": [TEXT, *blocks, result]}]


@pytest.mark.parametrize("size", [9, 10, 11, 12])
def test_the_size_is_that_of_the_decoded_bytes(size):
    require_images_within(messages(image(size)), max(size, 10), None)
    if size > 10:
        with pytest.raises(OpenAIError, match="larger than 10 bytes") as refused:
            require_images_within(messages(image(size)), 10, None)
        assert (refused.value.status, refused.value.code) == (400, "image_too_large")


def test_images_in_tool_results_count_too():
    require_images_within(messages(LINKED), None, 2)
    with pytest.raises(OpenAIError, match="Too many images: the limit of this endpoint is 1"):
        require_images_within(messages(LINKED), None, 1)
    with pytest.raises(OpenAIError, match="larger than 9 bytes"):
        require_images_within(messages(), 9, None)


def test_no_bound_means_none():
    require_images_within(messages(image(10_000)), None, None)
