"""What Claude is asked for a Completions request."""

import pytest

from translators.completions.request_body import parse_request
from translators.errors import OpenAIError
from translators.model_catalog import CAPABILITIES
from translators.reasoning import choose_thinking


def test_the_prompt_goes_to_claude_as_it_is_under_one_instruction(translate):
    first, second = (translate(prompt=text).prompts[0].params for text in ("Once upon\n a time ", "2 + 2 ="))
    assert first["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Once upon\n a time "}]}]
    assert first["system"] == second["system"]
    assert "comes right after the user's text" in first["system"][0]["text"]
    assert first["stream"] is True


def test_the_answer_has_16_tokens_where_no_cap_is_given(translate):
    assert translate().prompts[0].params["max_tokens"] == 16
    assert translate(max_tokens=100).prompts[0].params["max_tokens"] == 100
    assert translate(max_tokens=100, limit=50).prompts[0].params["max_tokens"] == 50


@pytest.mark.parametrize("model", CAPABILITIES)
def test_thinking_is_as_little_as_the_model_can_because_it_counts_in_the_cap(translate, model):
    translated = translate(model=model)
    [prompt] = translated.prompts
    answering = prompt.params["model"]  # a retired model has a successor
    least = choose_thinking("none", CAPABILITIES[answering], 16)
    assert prompt.params.get("thinking") == least.thinking
    assert prompt.params.get("output_config", {}).get("effort") == least.effort
    warned = [warning for warning in translated.warnings if warning.param == "max_tokens"]
    assert [warning.action for warning in warned] == (["degraded"] if least.on else [])


def test_every_prompt_of_a_list_is_a_call_and_each_has_its_copies(translate):
    translated = translate(prompt=["one", "two"], n=2, echo=True)
    texts = [prompt.params["messages"][0]["content"][0]["text"] for prompt in translated.prompts]
    assert texts == ["one", "two"]
    assert [prompt.echo for prompt in translated.prompts] == ["one", "two"]
    assert translated.copies == 2


@pytest.mark.parametrize("prompt", ["", " \n", None, [""]], ids=["empty", "blank", "null", "listed"])
def test_a_prompt_without_a_text_is_asked_for_in_words(translate, prompt):
    translated = translate(prompt=prompt)
    assert translated.prompts[0].params["messages"][0]["content"][0]["text"].strip()
    assert ("prompt", "emulated") in [(warning.param, warning.action) for warning in translated.warnings]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": [1, 2, 3]}, "prompt", "unsupported_value"),
        ({"prompt": [[1, 2], [3]]}, "prompt", "unsupported_value"),
        ({"prompt": ["a", 1]}, "prompt", "unsupported_value"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": 1}, "prompt", "invalid_type"),
        ({"prompt": ["a"] * 9}, "prompt", "array_above_max_length"),
        ({"prompt": ["a"] * 5, "n": 2}, "n", "integer_above_max_value"),
        ({"n": 9}, "n", "integer_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 3, "best_of": 2}, "best_of", "invalid_value"),
        ({"best_of": 21}, "best_of", "integer_above_max_value"),
        ({"logprobs": 5}, "logprobs", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "integer_above_max_value"),
        ({"suffix": "b"}, "suffix", "unsupported_parameter"),
        ({"max_tokens": 0}, "max_tokens", "unsupported_value"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"model": ""}, "model", "missing_required_parameter"),
        ({"stop": 1}, "stop", "invalid_type"),
    ],
    ids=str,
)
def test_what_claude_cannot_do_is_refused_by_its_name(translate, body, param, code):
    with pytest.raises(OpenAIError) as caught:
        translate(**body)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"prompt": "\xff"}', b'{"model": "m"}', b'{"prompt": "a"}'])
def test_a_body_that_is_no_request_is_a_400(body):
    with pytest.raises(OpenAIError) as caught:
        parse_request(body)
    assert caught.value.status == 400


def test_a_deployment_is_the_model_whatever_the_body_says():
    assert parse_request(b'{"prompt": "a"}', deployment="mine").model == "mine"
    assert parse_request(b'{"prompt": "a", "model": "other"}', deployment="mine").model == "mine"


def test_parameters_of_other_hosts_are_reported(translate):
    reported = [warning.param for warning in translate(top_k=3, made_up=1).warnings]
    assert {"top_k", "made_up"} <= set(reported)


def test_a_value_that_changes_nothing_is_not_reported(translate):
    same = {"best_of": 1, "n": 1, "frequency_penalty": 0, "presence_penalty": 0, "temperature": 1, "suffix": None}
    assert translate(**same, logit_bias={}, logprobs=None, echo=False).warnings == translate().warnings
