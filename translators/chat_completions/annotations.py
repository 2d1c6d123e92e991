"""Claude's web citations as OpenAI's annotations.

Claude cites by block: the text of the block rests on the pages that its citations name. OpenAI cites by offsets into
the content of the message. Citations of documents have no counterpart in Chat Completions.
"""

import msgspec

from translators.chat_completions.chunk import Annotation, UrlCitation

__all__ = ["CitedPage", "annotate", "read_citation"]

type CitedPage = tuple[str, str]
"""Title and URL."""


class _Citation(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None


_decoder = msgspec.json.Decoder(_Citation)


def read_citation(raw: msgspec.Raw) -> CitedPage | None:
    """Read the page that a citation names, or None if it names none. A page without a title goes by its URL."""
    try:
        citation = _decoder.decode(raw)
    except msgspec.ValidationError:
        return None
    if citation.type != "web_search_result_location" or not citation.url:
        return None
    return citation.title or citation.url, citation.url


def annotate(pages: list[CitedPage], start: int, end: int) -> list[Annotation]:
    """Annotate the characters from `start` to `end` (exclusive) with the pages, each once."""
    return [
        Annotation("url_citation", UrlCitation(end_index=end, start_index=start, title=title, url=url))
        for title, url in dict.fromkeys(pages)
    ]
