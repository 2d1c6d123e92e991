"""What a model makes of parameters that are right in themselves: thinking, effort, forced tools, sampling, limits.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting, .../effort and the models
overview.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from addon.simulated_claude.conversation import turns_of
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.model_table import SimulatedModel

__all__ = ["check_model_rules"]

THINKING_DOCS = (
    "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
)
USE_ADAPTIVE = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
FAST_MODE = "fast-mode-2026-02-01"
FAST_WITHOUT_HEADER = frozenset({"claude-opus-5-5"})
FAST_WITH_HEADER = frozenset({"claude-fable-5-2", "claude-mythos-5-2", "claude-opus-5", "claude-opus-4-8"})
FAST_IS_STANDARD = frozenset({"claude-opus-4-6"})
DEFAULT_TEMPERATURE = 1
DEFAULT_TOP_P = 0.99
LEAST_TOP_P_WITH_THINKING = 0.95


def check_model_rules(
    body: Mapping[str, Any], model: SimulatedModel, betas: frozenset[str], *, counting: bool
) -> Iterator[ClaudeError]:
    """Everything that this model refuses in this request."""
    if not counting:
        yield from _check_max_tokens(body, model)
        yield from _check_sampling(body, model)
    yield from _check_thinking(body, model, betas, counting=counting)
    yield from _check_effort(body, model)
    yield from _check_tool_choice(body, model)
    yield from _check_output_format(body)
    yield from _check_speed(body, model, betas)


def _check_max_tokens(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    asked = body["max_tokens"]
    if asked < 0:
        yield invalid_request("max_tokens: Input should be greater than or equal to 0")
    if asked > model.max_output:
        yield invalid_request(
            f"max_tokens: {asked} > {model.max_output}, which is the maximum allowed number of output tokens for "
            f"{model.id}"
        )


def _check_thinking(
    body: Mapping[str, Any], model: SimulatedModel, betas: frozenset[str], *, counting: bool
) -> Iterator[ClaudeError]:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking["type"]
    if kind not in model.thinking:
        yield invalid_request(_thinking_refusal(kind, model))
    if thinking.get("display") == "updates" and "thinking-display-updates-2026-08-18" not in betas:
        yield invalid_request(f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'")
    if kind != "enabled":
        return
    # With interleaved thinking the budget spans all turns of a tool loop.
    is_interleaved = "interleaved-thinking-2025-05-14" in betas and bool(body.get("tools"))
    if not counting and not is_interleaved and thinking["budget_tokens"] >= body["max_tokens"]:
        yield invalid_request(
            "`max_tokens` must be greater than `thinking.budget_tokens`. "
            f"{THINKING_DOCS}#max-tokens-and-context-window-size"
        )
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        yield invalid_request("Thinking may not be enabled when tool_choice forces tool use.")
    yield from _check_thinking_comes_first(body)


def _thinking_refusal(kind: str, model: SimulatedModel) -> str:
    if kind == "adaptive":
        return "adaptive thinking is not supported on this model"
    if kind == "disabled" and "between_tools" in model.thinking:
        return (
            'To turn thinking off on this model, send "thinking": {"type": "between_tools"} instead of '
            '{"type": "disabled"}.'
        )
    return f'"thinking.type.{kind}" is not supported for this model. {USE_ADAPTIVE}'


def _check_thinking_comes_first(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    turns = turns_of(body["messages"])
    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if last is None or not last.blocks:
        return
    in_tool_loop = any(block["type"] == "tool_result" for block in turns[-1].blocks)
    is_prefill = turns[-1] is last
    first = last.blocks[0]["type"]
    if (in_tool_loop or is_prefill) and first not in {"thinking", "redacted_thinking"}:
        place = last.places[0]
        yield invalid_request(
            f"messages.{place[0]}.content.{place[1]}.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block "
            "(preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking "
            f"blocks from previous turns. To avoid this requirement, disable `thinking`. {THINKING_DOCS}"
        )


def _check_effort(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return
    if not model.effort:
        yield invalid_request("This model does not support the effort parameter.")
    elif effort not in model.effort:
        yield invalid_request(
            f"This model does not support effort level '{effort}'. Supported levels: {', '.join(sorted(model.effort))}."
        )
    kind = (body.get("thinking") or {}).get("type")
    if kind in {"disabled", "between_tools"} and effort not in model.efforts_without_thinking:
        yield invalid_request(
            f"output_config.effort '{effort}' is not supported when thinking is disabled on this model. "
            f"Supported levels: {', '.join(sorted(model.efforts_without_thinking))}."
        )


def _check_tool_choice(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    choice = body.get("tool_choice")
    if choice is None:
        return
    tools = body.get("tools") or ()
    if choice["type"] in {"any", "tool"} and not model.forced_tool_choice:
        yield invalid_request('tool_choice: type "tool" and "any" are not supported for this model.')
    if not tools and choice["type"] != "none":
        yield invalid_request("tool_choice may only be specified while providing tools.")
    if choice["type"] == "tool" and all(tool.get("name") != choice["name"] for tool in tools):
        yield invalid_request(f"Tool '{choice['name']}' not found in provided tools")


def _check_output_format(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    if not (body.get("output_config") or {}).get("format") and not body.get("output_format"):
        return
    turns = turns_of(body["messages"])
    if turns[-1].role == "assistant" and not any(block["type"] == "server_tool_use" for block in turns[-1].blocks):
        yield invalid_request(
            "output_config.format: prefilling the assistant message is not supported with output formats"
        )
    for turn in turns:
        for block in turn.blocks:
            if block["type"] in {"document", "search_result"} and (block.get("citations") or {}).get("enabled"):
                yield invalid_request("output_config.format: citations are not supported with output formats")


def _check_speed(body: Mapping[str, Any], model: SimulatedModel, betas: frozenset[str]) -> Iterator[ClaudeError]:
    if body.get("speed") != "fast" or model.id in FAST_WITHOUT_HEADER | FAST_IS_STANDARD:
        return
    if model.id not in FAST_WITH_HEADER:
        yield invalid_request("speed: 'fast' is not supported on this model")
    elif FAST_MODE not in betas:
        yield invalid_request("speed: Extra inputs are not permitted")


def _check_sampling(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    """Apply the rules of version 2023-06-01; later versions have no such parameters at all."""
    temperature, top_p, top_k = body.get("temperature"), body.get("top_p"), body.get("top_k")
    if not model.sampling:
        if temperature is not None and temperature != DEFAULT_TEMPERATURE:
            yield invalid_request("`temperature` is deprecated for this model.")
        if top_p is not None and top_p != DEFAULT_TOP_P:
            yield invalid_request("`top_p` is deprecated for this model.")
        if top_k is not None:
            yield invalid_request("`top_k` is deprecated for this model.")
        return
    if temperature is not None and top_p is not None:
        yield invalid_request("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if (body.get("thinking") or {}).get("type") in {"enabled", "adaptive"}:
        rules = f"{THINKING_DOCS}#important-considerations-when-using-extended-thinking"
        if temperature is not None and temperature != DEFAULT_TEMPERATURE:
            yield invalid_request(f"`temperature` may only be set to 1 when thinking is enabled. {rules}")
        if top_k is not None:
            yield invalid_request(f"`top_k` must be unset when thinking is enabled. {rules}")
        if top_p is not None and top_p < LEAST_TOP_P_WITH_THINKING:
            yield invalid_request(
                f"`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. {rules}"
            )
