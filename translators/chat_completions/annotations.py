"""Claude's web citations as annotations of a chat completion: offsets into the content of the message."""

from translators.chat_completions.chunk import Annotation, UrlCitation
from translators.citations import CitedPage

__all__ = ["annotate"]


def annotate(pages: list[CitedPage], start: int, end: int) -> list[Annotation]:
    """Annotate the characters from `start` to `end` (exclusive), if there are any, with the pages, each once."""
    if start >= end:
        return []
    return [
        Annotation("url_citation", UrlCitation(end_index=end, start_index=start, title=title, url=url))
        for title, url in dict.fromkeys(pages)
    ]
