"""Content parts to Claude's content blocks: text, images, files. Audio is refused, because no Claude model hears.

| part | block |
|---|---|
| text | `text`; blank text has no block, because Claude refuses it |
| image, data URL | `image`, base64, with the media type of the bytes themselves |
| image, http(s) URL | `image`, by URL |
| file, PDF | `document`, base64, titled with the file's name |
| file, text of any kind | `document`, plain text, titled with the file's name |
| file, an image | `image` |
| file, id of an uploaded file | `document`, by file id |

Sources: https://platform.claude.com/docs/en/build-with-claude/vision, .../pdf-support,
`anthropic.types.ContentBlockParam`.
"""

import base64
import binascii
import re
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from translators.errors import OpenAIError

__all__ = [
    "PDF",
    "Block",
    "document_by_url",
    "image_by_id",
    "refuse_audio",
    "sniff_media_type",
    "text_block",
    "text_blocks",
    "translate_file",
    "translate_image",
    "unsupported_image",
]

type Block = dict[str, Any]
"""A block of `anthropic.types.ContentBlockParam`. Never changed after it is made."""

PDF = "application/pdf"
_DATA_URL = re.compile(r"data:(?P<media_type>[^;,]*)(?P<parameters>(?:;[^;,]*)*),", re.IGNORECASE)
_WHITE_SPACE = re.compile(r"\s+")
_SNIFFED_CHARACTERS = 1368
"""Base64 characters that are decoded to look at a file's first bytes: PDF readers look for the header in 1,024."""
_TEXT_MEDIA_TYPES = frozenset(
    {
        "application/csv",
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/typescript",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)
_TEXT_SUFFIXES = (
    *(
        ".c",
        ".cpp",
        ".cs",
        ".go",
        ".h",
        ".hpp",
        ".java",
        ".js",
        ".jsx",
        ".kt",
        ".php",
        ".py",
        ".rb",
        ".rs",
        ".sh",
        ".sql",
    ),
    *(".swift", ".ts", ".tsx"),
    *(
        ".cfg",
        ".css",
        ".csv",
        ".htm",
        ".html",
        ".ini",
        ".json",
        ".jsonl",
        ".log",
        ".md",
        ".rst",
        ".srt",
        ".tex",
        ".toml",
    ),
    *(".tsv", ".txt", ".vtt", ".xml", ".yaml", ".yml"),
)


def text_block(text: str) -> Block | None:
    """Make a block of text, or None for text that is empty or only white space."""
    return None if not text or text.isspace() else {"type": "text", "text": text}


def text_blocks(text: str) -> tuple[Block, ...]:
    """Make the blocks of a content that is one text: none for blank text."""
    return () if not text or text.isspace() else ({"type": "text", "text": text},)


def translate_image(url: str, param: str) -> Block:
    """Translate the `url` of an image part.

    The media type comes from the bytes: clients declare `image/jpg`, or PNG for what is a JPEG, and Claude compares.

    Raises:
        OpenAIError: 400 for a kind of image that Claude does not see (SVG, TIFF, ...), and for a URL of another scheme.
    """
    if url[:8].lower().startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    found = _DATA_URL.match(url)
    if found is None:
        raise OpenAIError(
            400,
            "Invalid image URL: expected an http(s) URL or a data URL with base64-encoded data.",
            code="invalid_image_url",
            param=param,
        )
    data = _base64_of(found, url)
    media_type = _sniff_image(_first_bytes(data))
    if media_type is None:
        raise unsupported_image(param)
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def translate_file(file_data: str | None, file_id: str | None, filename: str | None, param: str) -> Block:
    """Translate a file part: its data (a data URL, or bare base64), or the id of an uploaded file.

    Raises:
        OpenAIError: 400 for a file that is neither PDF, nor text, nor an image, and for a part without a file.
    """
    title: Block = {"title": filename} if filename else {}
    if file_data is None:
        if not file_id:
            raise OpenAIError(
                400,
                f"Missing required parameter: '{param}.file_id'.",
                code="missing_required_parameter",
                param=f"{param}.file_id",
            )
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **title}
    found = _DATA_URL.match(file_data)
    media_type = found["media_type"].lower() if found is not None else ""
    data = _base64_of(found, file_data) if found is not None else _WHITE_SPACE.sub("", file_data)
    first = _first_bytes(data)
    # Some programs put a blank line or a byte order mark before the header.
    found_type = PDF if media_type == PDF and b"%PDF-" in first else sniff_media_type(first)
    if found_type is not None:
        source = {"type": "base64", "media_type": found_type, "data": data}
        return (
            {"type": "document", "source": source, **title}
            if found_type == PDF
            else {"type": "image", "source": source}
        )
    if _is_text(media_type, filename or ""):
        text = _decode_text(data)
        if text is not None and text.strip():
            return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **title}
    raise OpenAIError(
        400,
        f"Invalid file data: '{param}.file_data'. Expected a PDF, a text file or an image as a base64-encoded data URL"
        + (f", but got unsupported MIME type '{media_type}'." if media_type else "."),
        code="invalid_value",
        param=f"{param}.file_data",
    )


def image_by_id(file_id: str) -> Block:
    """Make a block of an uploaded image."""
    return {"type": "image", "source": {"type": "file", "file_id": file_id}}


def document_by_url(url: str, filename: str | None) -> Block:
    """Make a block of a PDF that Claude fetches itself."""
    title: Block = {"title": filename} if filename else {}
    return {"type": "document", "source": {"type": "url", "url": url}, **title}


def unsupported_image(param: str) -> OpenAIError:
    """Build the error for what is no image that Claude sees, in OpenAI's own words."""
    return OpenAIError(
        400,
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
        "['png', 'jpeg', 'gif', 'webp'].",
        code="invalid_image_format",
        param=param,
    )


def refuse_audio(param: str) -> NoReturn:
    """Refuse a part that holds sound.

    Raises:
        OpenAIError: always.
    """
    raise OpenAIError(
        400,
        f"Invalid value: '{param}': audio input is not supported with this model.",
        code="invalid_value",
        param=param,
    )


def _base64_of(found: re.Match[str], url: str) -> str:
    rest = url[found.end() :]
    if "base64" in found["parameters"].lower().split(";"):
        return _WHITE_SPACE.sub("", rest)
    return base64.b64encode(unquote_to_bytes(rest)).decode("ascii")


def _first_bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data[:_SNIFFED_CHARACTERS] + "==")
    except (binascii.Error, ValueError):
        return b""


def sniff_media_type(content: bytes) -> str | None:
    """Find the media type of a PDF or an image by its first bytes; None for anything else."""
    return PDF if content.startswith(b"%PDF-") else _sniff_image(content)


def _sniff_image(first: bytes) -> str | None:
    if first.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if first.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if first.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if first.startswith(b"RIFF") and first[8:12] == b"WEBP":
        return "image/webp"
    return None


def _is_text(media_type: str, filename: str) -> bool:
    if media_type and media_type != "application/octet-stream":
        return (
            media_type.startswith("text/") or media_type in _TEXT_MEDIA_TYPES or media_type.endswith(("+json", "+xml"))
        )
    return filename.lower().endswith(_TEXT_SUFFIXES)


def _decode_text(data: str) -> str | None:
    try:
        return base64.b64decode(data).decode("utf-8-sig")
    except (binascii.Error, ValueError):
        return None
