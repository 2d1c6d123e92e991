"""What Claude could not download, in OpenAI's words: they name the URL, Claude's do not.

OpenAI's are recorded: `Error while downloading https://host/picture.jpg.`, with a code that tells the endpoints apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from translators.errors import OpenAIError

__all__ = ["word_download_error"]

_NOT_DOWNLOADED = re.compile(
    "Unable to download the file|Only HTTPS URLs are supported|URL is disallowed by the website's robots.txt"
)


def word_download_error(
    error: OpenAIError, params: Mapping[str, Any], *, code: str, param: str | None = None
) -> OpenAIError:
    """Word Claude's refusal of a URL, and keep its reason; return any other error as it is.

    Args:
        error: Claude's refusal.
        params: the request that was refused: where it holds one URL, that is the one.
        code: of the endpoint.
        param: of the endpoint.
    """
    if error.status != 400 or not _NOT_DOWNLOADED.search(error.message):
        return error
    urls = {url for message in params["messages"] for url in _urls_in(message["content"])}
    what = urls.pop() if len(urls) == 1 else "file"
    return replace(error, message=f"Error while downloading {what}. {error.message}", code=code, param=param)


def _urls_in(content: Any) -> Iterator[str]:
    """Name the URLs in a message's blocks, and in those of its tool results."""
    for block in content if isinstance(content, list) else ():
        match block:
            case {"source": {"type": "url", "url": str(url)}}:
                yield url
            case {"type": "tool_result", "content": inner}:
                yield from _urls_in(inner)
