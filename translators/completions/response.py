"""The whole answer, `text_completion`: the fold of the chunks that a stream would have sent, so that the two agree."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from translators.completions.chunk import CompletionChunk, TextChoice, encode_chunk
from translators.completions.request import CompletionPlan
from translators.usage import CompletionUsage, sum_usage

if TYPE_CHECKING:
    from translators.stop_reasons import PlainFinishReason

__all__ = ["CompletionBuilder", "IncompleteChoiceError", "encode_usage_chunk"]


class IncompleteChoiceError(ValueError):
    """An answer was asked for before its choices had ended."""


class _Completion(msgspec.Struct, frozen=True):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: CompletionUsage


class CompletionBuilder:
    """Folds the chunks of an answer, of one choice or of several in any order, into the whole answer."""

    def __init__(self, plan: CompletionPlan, completion_id: str, created: int) -> None:
        self._model = plan.model
        self._id = completion_id
        self._created = created
        self._texts: dict[int, list[str]] = {}
        self._finish_reasons: dict[int, PlainFinishReason] = {}

    def add(self, chunk: CompletionChunk) -> None:
        """Add a chunk."""
        for choice in chunk.choices:
            self._texts.setdefault(choice.index, []).append(choice.text)
            if choice.finish_reason is not None:
                self._finish_reasons[choice.index] = choice.finish_reason

    def build(self, usages: Iterable[CompletionUsage]) -> bytes:
        """Build the JSON of the answer, with the sum of its choices' usages.

        Raises:
            IncompleteChoiceError: there is no choice, or one has not ended.
        """
        if not self._texts or self._texts.keys() != self._finish_reasons.keys():
            raise IncompleteChoiceError("a choice has no finish_reason")
        choices = [
            TextChoice("".join(self._texts[index]), index, None, self._finish_reasons[index])
            for index in sorted(self._texts)
        ]
        return msgspec.json.encode(
            _Completion(self._id, "text_completion", self._created, self._model, choices, sum_usage(usages))
        )


def encode_usage_chunk(
    plan: CompletionPlan, completion_id: str, created: int, usages: Iterable[CompletionUsage]
) -> bytes:
    """Encode the chunk after the last finish reason: no choices, the sum of the usages."""
    return encode_chunk(CompletionChunk(completion_id, "text_completion", created, (), plan.model, sum_usage(usages)))
