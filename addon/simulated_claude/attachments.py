"""Whether images and documents can be read: encoding, real media type, size (https://platform.claude.com/docs/en/build-with-claude/vision)."""

from collections.abc import Iterator, Mapping
from typing import Any

from addon.simulated_claude.conversation import content_blocks
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.images import decode_base64, image_size, sniff_media_type
from addon.simulated_claude.model_table import SimulatedModel

__all__ = ["check_attachments"]

MAX_IMAGE_BASE64 = 10 * 1024 * 1024
MAX_SIDE = 8000
MAX_SIDE_OF_MANY = 2000
MANY_IMAGES = 20
SMALL_CONTEXT = 200_000


def check_attachments(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    """Everything that is wrong with the files in the messages."""
    images = list(_find(body, "image"))
    for path, block in images:
        yield from _check_image(path, block["source"])
    for path, block in _find(body, "document"):
        yield from _check_document(path, block["source"])
    most = 100 if model.context <= SMALL_CONTEXT else 600
    if len(images) > most:
        yield invalid_request(f"Too many images: {len(images)} > {most} maximum")
    yield from _check_dimensions(images)


def _find(body: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, message in enumerate(body["messages"]):
        for position, block in enumerate(content_blocks(message["content"])):
            path = f"messages.{index}.content.{position}"
            if block["type"] == kind:
                yield path, block
            nested = block.get("content") if block["type"] == "tool_result" else None
            for inner, part in enumerate(nested if isinstance(nested, list) else ()):
                if part["type"] == kind:
                    yield f"{path}.content.{inner}", part


def _check_image(path: str, source: Mapping[str, Any]) -> Iterator[ClaudeError]:
    where = f"{path}.image.source.{source['type']}"
    if source["type"] == "url":
        if not source["url"].startswith(("https://", "http://")):
            yield invalid_request(f"{where}.url: Only HTTPS URLs are supported.")
        return
    if source["type"] != "base64":
        return
    size = len(source["data"])
    if size > MAX_IMAGE_BASE64:
        yield invalid_request(f"{where}: image exceeds 10 MB maximum: {size} bytes > {MAX_IMAGE_BASE64} bytes")
        return
    data = decode_base64(source["data"])
    if data is None:
        yield invalid_request(f"{where}.data: Invalid base64 data")
        return
    found = sniff_media_type(data)
    if found is None:
        yield invalid_request("Could not process image")
    elif found != source["media_type"]:
        yield invalid_request(
            f"{where}: The image was specified using the {source['media_type']} media type, but the image appears to "
            f"be a {found} image"
        )


def _check_document(path: str, source: Mapping[str, Any]) -> Iterator[ClaudeError]:
    if source["type"] != "base64":
        return
    data = decode_base64(source["data"])
    if data is None:
        yield invalid_request(f"{path}.document.source.base64.data: Invalid base64 data")
    elif b"%PDF-" not in data[:1024]:
        yield invalid_request(f"{path}.document.source.base64.data: The PDF specified was not valid.")


def _check_dimensions(images: list[tuple[str, Mapping[str, Any]]]) -> Iterator[ClaudeError]:
    many = len(images) > MANY_IMAGES
    most = MAX_SIDE_OF_MANY if many else MAX_SIDE
    paths = []
    for path, block in images:
        size = image_size(block["source"].get("data", "")) if block["source"]["type"] == "base64" else None
        downsized = (block.get("transformations") or {}).get("oversized_image") == "downsize"
        if size and max(size) > most and not downsized:
            paths.append(path)
    if paths:
        kind = " for many-image requests" if many else ""
        yield invalid_request(
            f"{paths[0]}.image.source.base64.data: At least one of the image dimensions exceed max allowed size{kind}: "
            f"{most} pixels",
            {"error_code": "image_dimensions_too_large", "max_side_length_pixels": most, "paths": paths},
        )
