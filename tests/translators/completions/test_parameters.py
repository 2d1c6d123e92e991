"""The table of parameters is closed and true. That the document prints it is held beside Chat Completions' table."""

from typing import Any, get_type_hints

import pytest
from openai.types import completion_create_params as create
from openai.types.chat.chat_completion_stream_options_param import ChatCompletionStreamOptionsParam

from translators.completions.parameters import PARAMETERS
from translators.errors import OpenAIError


def test_the_table_has_exactly_what_the_openai_package_has():
    keys = set(get_type_hints(create.CompletionCreateParamsBase))
    keys |= set(get_type_hints(create.CompletionCreateParamsStreaming))
    keys |= {f"stream_options.{name}" for name in get_type_hints(ChatCompletionStreamOptionsParam)}
    assert set(PARAMETERS) == keys


type Body = dict[str, Any]

STREAM = {"stream": True}
ROWS: dict[str, tuple[Body, Body]] = {
    "model": ({}, {"model": "claude-opus-4-8"}),
    "prompt": ({}, {"prompt": "Twice"}),
    "best_of": ({}, {"best_of": 3}),
    "echo": ({}, {"echo": True}),
    "frequency_penalty": ({}, {"frequency_penalty": 0.5}),
    "logit_bias": ({}, {"logit_bias": {"50256": -100}}),
    "logprobs": ({}, {"logprobs": 0}),
    "max_tokens": ({}, {"max_tokens": 17}),
    "n": ({}, {"n": 2}),
    "presence_penalty": ({}, {"presence_penalty": 0.5}),
    "seed": ({}, {"seed": 1}),
    "stop": ({}, {"stop": "END"}),
    "stream": ({}, STREAM),
    "stream_options": (STREAM, {**STREAM, "stream_options": {"include_usage": True}}),
    "suffix": ({}, {"suffix": "the end"}),
    "temperature": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "temperature": 0.5}),
    "top_p": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "top_p": 0.5}),
    "user": ({}, {"user": "a"}),
    "stream_options.include_usage": (STREAM, {**STREAM, "stream_options": {"include_usage": True}}),
    "stream_options.include_obfuscation": (STREAM, {**STREAM, "stream_options": {"include_obfuscation": True}}),
}


def outcome(translated: Any) -> Any:
    calls = [(prompt.params, prompt.headers, prompt.echo) for prompt in translated.prompts]
    return calls, translated.copies, translated.plan


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_row_is_true(translate, name):
    without, with_it = ROWS[name]
    before = translate(**without)
    match PARAMETERS[name].treatment:
        case "refused":
            with pytest.raises(OpenAIError) as caught:
                translate(**with_it)
            assert (caught.value.status, caught.value.param) == (400, name)
        case "ignored":
            after = translate(**with_it)
            assert outcome(after) == outcome(before)
            assert {warning.param for warning in after.warnings} - {w.param for w in before.warnings} == {name}
        case "mapped" | "emulated":
            assert outcome(translate(**with_it)) != outcome(before)
