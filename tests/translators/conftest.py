"""What the tests of translations share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.translators.claude_messages import Events, cut_message
from translators.chat_completions.request import TranslatedRequest, TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.model_catalog import ModelCatalog

type Translate = Callable[..., TranslatedRequest]


@pytest.fixture
def translate() -> Translate:
    """Translate a Chat Completions request, from its bytes. By default it says hello to Opus 5.5."""

    def translate_body(
        *,
        recall: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        context: Mapping[str, Any] | None = None,
        **body: Any,
    ) -> TranslatedRequest:
        whole = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hello"}], **body}
        values: dict[str, Any] = {"catalog": ModelCatalog("claude-opus-5-5"), **(context or {})}
        return translate_request(
            parse_request(msgspec.json.encode(whole)), TranslationContext(recall=(recall or {}).get, **values)
        )

    return translate_body


@pytest.fixture(scope="session")
def cut() -> Callable[..., Events]:
    """Cuts whole content blocks into the events of a stream."""
    return cut_message
