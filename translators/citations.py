"""The web pages that Claude cites for a block of text.

Claude cites by block: the text of the block rests on the pages that its citations name. OpenAI cites by offsets, from
where the block's text begins to where it ends. Citations of documents have no counterpart.
"""

import msgspec

__all__ = ["CitedPage", "read_citation"]

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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if citation.type != "web_search_result_location" or not citation.url:
        return None
    return citation.title or citation.url, citation.url
