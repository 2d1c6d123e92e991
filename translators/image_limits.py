"""The operator's bounds on the images of a request, before Claude's own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from translators.errors import OpenAIError

__all__ = ["require_images_within"]


def require_images_within(messages: Sequence[Mapping[str, Any]], max_bytes: int | None, max_count: int | None) -> None:
    """Check the images of Claude's messages, those in tool results too. None means no bound.

    Images that Claude fetches by itself are counted, and have no size here.

    Raises:
        OpenAIError: 400, one image is too large or there are too many.
    """
    images = _images([message.get("content") for message in messages])
    for count, image in enumerate(images, start=1):
        if max_count is not None and count > max_count:
            raise OpenAIError(400, f"Too many images: the limit of this endpoint is {max_count} in one request.")
        data = image["source"].get("data", "")
        if max_bytes is not None and _decoded_size(data) > max_bytes:
            message = f"An image is larger than {max_bytes} bytes, the limit of this endpoint."
            raise OpenAIError(400, message, code="image_too_large")


def _images(contents: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for content in contents:
        if isinstance(content, list):
            for block in content:
                if block["type"] == "image":
                    yield block
                elif block["type"] == "tool_result":
                    yield from _images([block.get("content")])


def _decoded_size(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")
