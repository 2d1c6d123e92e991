import msgspec
import openai.types
import pytest

from translators.claude_events import CacheCreation, OutputTokensDetails, ServerToolUse, Usage
from translators.usage import CompletionUsage, add_usage, override_usage, sum_usage, translate_usage

START = Usage(
    input_tokens=10,
    output_tokens=1,
    cache_creation_input_tokens=200,
    cache_read_input_tokens=3000,
    cache_creation=CacheCreation(200, 0),
    service_tier="standard",
)


def test_U1_prompt_tokens_hold_the_cache():
    usage = translate_usage(START)
    assert usage.prompt_tokens == 3210
    assert usage.prompt_tokens_details.cached_tokens == 3000
    assert usage.prompt_tokens_details.cache_write_tokens == 200
    assert usage.total_tokens == 3211


def test_U2_a_later_report_replaces_and_never_adds():
    later = Usage(input_tokens=10, output_tokens=50, cache_creation_input_tokens=200, cache_read_input_tokens=3000)
    merged = override_usage(override_usage(START, later), Usage(output_tokens=60))
    assert translate_usage(merged).prompt_tokens == 3210
    assert merged.output_tokens == 60
    assert merged.cache_creation == CacheCreation(200, 0)


@pytest.mark.parametrize("absent", [None, 0])
def test_U3_a_count_that_is_reported_once_is_kept_wherever_it_comes(absent):
    at_start = override_usage(START, Usage(input_tokens=absent, output_tokens=5, cache_read_input_tokens=absent))
    assert (at_start.input_tokens, at_start.cache_read_input_tokens) == (10, 3000)
    at_end = override_usage(Usage(input_tokens=absent), Usage(input_tokens=12, output_tokens=5))
    assert at_end.input_tokens == 12


def test_U3_input_that_grew_with_claudes_own_tools_is_the_last_count():
    assert override_usage(START, Usage(input_tokens=900)).input_tokens == 900


def test_U5_thinking_is_counted_as_reasoning_tokens():
    usage = translate_usage(Usage(output_tokens=50, output_tokens_details=OutputTokensDetails(thinking_tokens=30)))
    assert usage.completion_tokens == 50
    assert usage.completion_tokens_details.reasoning_tokens == 30


def test_no_usage_at_all_is_zero():
    assert translate_usage(override_usage(Usage(), None)) == CompletionUsage()


def test_the_segments_of_a_paused_turn_are_added():
    one = Usage(
        input_tokens=1, output_tokens=2, server_tool_use=ServerToolUse(1, 0), cache_creation=CacheCreation(5, 6)
    )
    other = Usage(
        input_tokens=10,
        output_tokens=20,
        cache_read_input_tokens=100,
        output_tokens_details=OutputTokensDetails(7),
        server_tool_use=ServerToolUse(2, 3),
        cache_creation=CacheCreation(1, 1),
    )
    total = add_usage(one, other)
    assert (total.input_tokens, total.output_tokens, total.cache_read_input_tokens) == (11, 22, 100)
    assert total.output_tokens_details == OutputTokensDetails(7)
    assert total.server_tool_use == ServerToolUse(3, 3)
    assert total.cache_creation == CacheCreation(6, 7)
    assert add_usage(total, total).output_tokens_details == OutputTokensDetails(14)


def test_P19_the_usages_of_several_choices_are_summed():
    one = translate_usage(START)
    total = sum_usage([one, one])
    assert total.prompt_tokens == 2 * one.prompt_tokens
    assert total.total_tokens == 2 * one.total_tokens
    assert total.prompt_tokens_details.cached_tokens == 6000
    assert total.prompt_tokens_details.cache_write_tokens == 400
    assert sum_usage([one]) == one
    assert sum_usage([]) == CompletionUsage()


def test_usage_is_what_the_openai_package_reads():
    encoded = msgspec.to_builtins(translate_usage(START))
    assert openai.types.CompletionUsage.model_validate(encoded, strict=True).to_dict() == encoded
