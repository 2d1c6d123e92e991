"""Where does a text stop? Stop strings for Claude, and those that it does not take, found in a text in pieces."""

from collections.abc import Sequence

from translators.translation_warning import TranslationWarning

__all__ = ["StopStringCutter", "split_stop"]

_MAX_STOP_SEQUENCES = 4
"""OpenAI's limit, which Claude surely takes; what is beyond it is found in the text."""


def split_stop(
    asked: str | Sequence[str] | None,
) -> tuple[list[str], tuple[str, ...], list[TranslationWarning]]:
    """Split `stop`: strings for Claude, and strings to be watched for in its text (white space only, or too many)."""
    stops = [asked] if isinstance(asked, str) else asked or []
    each = list(dict.fromkeys(stops))
    native = [stop for stop in each if stop.strip()]
    watched = tuple(stop for stop in each if stop and not stop.strip()) + tuple(native[_MAX_STOP_SEQUENCES:])
    warnings = []
    if "" in each:
        warnings.append(TranslationWarning("stop", "ignored", "an empty string"))
    if watched:
        warnings.append(TranslationWarning("stop", "emulated", "the text is watched for it"))
    return native[:_MAX_STOP_SEQUENCES], watched, warnings


class StopStringCutter:
    """Passes a text on up to the first stop string, which is left out, as OpenAI leaves it out.

    Holds back only what may still become a stop string: the longest end of the text that one of them begins with.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found = False
        """A stop string came: nothing more is passed on."""

    def feed(self, text: str) -> str:
        """Take the next piece; return what is certain to belong to the answer."""
        if self.found:
            return ""
        text = self._held + text
        # The one that is complete first wins, however the text is cut into pieces; of two, the longer.
        ends = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) != -1]
        if ends:
            self.found = True
            self._held = ""
            return text[: min(ends)[1]]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back: the text ends, or is interrupted, before it became a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
