"""Every request parameter of Chat Completions, and what becomes of it: the table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.chat.completion_create_params`): parameters, then fields of
messages by role, types of content parts, fields of tools by type, tool choices and response formats. A test holds the
keys to the package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["PARAMETERS", "Parameter", "Treatment", "encode_table"]

type Treatment = Literal["mapped", "emulated", "ignored", "refused"]
"""`mapped`: Claude has the same. `emulated`: done by other means. `ignored`: without effect, with a warning.
`refused`: a 400."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What becomes of one parameter; `how` is one line."""

    treatment: Treatment
    how: str


def _mapped(how: str) -> Parameter:
    return Parameter("mapped", how)


def _emulated(how: str) -> Parameter:
    return Parameter("emulated", how)


def _ignored(how: str) -> Parameter:
    return Parameter("ignored", how)


def _refused(how: str) -> Parameter:
    return Parameter("refused", how)


_BREAKPOINT = "`prompt_cache_breakpoint`: `cache_control` of the block, the last four at most"
_NAME = "said in a line before the message"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "messages": _mapped("`system` and `messages`"),
        "model": _mapped(
            "claude ids as they are, retired ones to their successors, others by the alias table and the default"
        ),
        "audio": _refused("no Claude model speaks"),
        "frequency_penalty": _ignored("no equivalent"),
        "function_call": _mapped("`tool_choice`"),
        "functions": _mapped("`tools`; answered with `function_call`"),
        "logit_bias": _ignored("no equivalent"),
        "logprobs": _refused("`true`: Claude gives no log probabilities"),
        "max_completion_tokens": _mapped("`max_tokens`, at most the model's maximum and the operator's limit"),
        "max_tokens": _mapped("`max_tokens`; of both caps the smaller"),
        "metadata": _ignored("no equivalent: Claude stores nothing to find by it"),
        "modalities": _refused("with `audio`; `text` alone is what Claude does"),
        "moderation": _refused("where the policy blocks; without one it is ignored, with a warning"),
        "n": _emulated("that many calls in parallel, 8 at most; more are refused"),
        "parallel_tool_calls": _mapped("`false`: `disable_parallel_tool_use`"),
        "prediction": _ignored("it would save time, and changes no answer"),
        "presence_penalty": _ignored("no equivalent"),
        "prompt_cache_key": _ignored("Claude finds the prefix by itself"),
        "prompt_cache_options": _mapped("`ttl`: a time to live of 1 hour; `explicit`: no automatic `cache_control`"),
        "prompt_cache_retention": _mapped("`24h`: a time to live of 1 hour, the longest that Claude has"),
        "reasoning_effort": _mapped("`thinking` and `output_config.effort`, at most what the model knows"),
        "response_format": _mapped("`output_config.format`, see below"),
        "safety_identifier": _mapped("`metadata.user_id`, as a SHA-256 hash; before `user`"),
        "seed": _ignored("Claude is not deterministic"),
        "service_tier": _mapped(
            "`default`, `flex`, `scale`: `standard_only`; `priority`, `fast`: ignored, with a warning"
        ),
        "stop": _mapped("`stop_sequences`; white space alone, and more than 4, by watching the text"),
        "store": _ignored("answers are not stored"),
        "stream": _mapped("Claude always streams; whole answers are gathered"),
        "stream_options": _mapped("see below"),
        "temperature": _mapped(
            "on models of the families 4.5 and 4.6 without thinking, 1 at most; else ignored, with a warning"
        ),
        "tool_choice": _mapped("`tool_choice`, see below"),
        "tools": _mapped("`tools`, see below"),
        "top_logprobs": _ignored("without `logprobs` it says nothing"),
        "top_p": _mapped("as `temperature`, which goes first where both are given"),
        "user": _mapped("`metadata.user_id`, as a SHA-256 hash"),
        "verbosity": _ignored("no equivalent"),
        "web_search_options": _mapped(
            "Claude's web search: 1, 5 or 10 searches for `low`, `medium`, `high`; sources as annotations"
        ),
        "stream_options.include_usage": _mapped("one more chunk, with the usage"),
        "stream_options.include_obfuscation": _ignored("chunks are not padded"),
        "messages.developer.content": _mapped("as `system`"),
        "messages.developer.name": _emulated(_NAME),
        "messages.developer.role": _mapped("as `system`"),
        "messages.system.content": _mapped(
            "at the head `system` blocks; later an entry of role `system`, or tagged text"
        ),
        "messages.system.name": _emulated(_NAME),
        "messages.system.role": _mapped("`system`"),
        "messages.user.content": _mapped("blocks"),
        "messages.user.name": _emulated(_NAME),
        "messages.user.role": _mapped("`user`"),
        "messages.assistant.audio": _ignored("an earlier spoken answer"),
        "messages.assistant.content": _mapped(
            "text; as the last message, where the model continues none, a user's turn follows"
        ),
        "messages.assistant.function_call": _mapped("`tool_use`"),
        "messages.assistant.name": _ignored("the model would copy it"),
        "messages.assistant.refusal": _mapped("text"),
        "messages.assistant.role": _mapped("`assistant`"),
        "messages.assistant.tool_calls": _mapped("`tool_use`; what Claude thought before them is put back"),
        "messages.tool.content": _mapped("`tool_result`, images and files too"),
        "messages.tool.role": _mapped("`tool_result`, grouped and first in the user's turn"),
        "messages.tool.tool_call_id": _mapped("`tool_use_id`; without its call the result becomes the user's text"),
        "messages.function.content": _mapped("`tool_result`"),
        "messages.function.name": _mapped("answers the last open call of that name"),
        "messages.function.role": _mapped("`tool_result`"),
        "content.text": _mapped(f"`text`; {_BREAKPOINT}"),
        "content.image_url": _mapped("`image`, by its bytes or URL; media type by its bytes; `detail` ignored"),
        "content.input_audio": _refused("no Claude model hears"),
        "content.file": _mapped(
            "`document`: PDF, text, or an uploaded file's id; images as `image`; other kinds refused"
        ),
        "content.refusal": _mapped("text"),
        "tools.function.name": _mapped("outside Claude's alphabet: another name, and back in the answer"),
        "tools.function.description": _mapped("`description`"),
        "tools.function.parameters": _mapped("`input_schema`; what is no object is wrapped in one"),
        "tools.function.strict": _mapped(
            "`strict`, if the schema is in Claude's subset and limits; else not strict, with a warning"
        ),
        "tools.custom.name": _emulated("a tool with one string as its input"),
        "tools.custom.description": _mapped("`description`"),
        "tools.custom.format": _emulated("the grammar is said in the description"),
        "tool_choice.none": _mapped("`none`; the tools stay"),
        "tool_choice.auto": _mapped("Claude's default"),
        "tool_choice.required": _mapped("`any`; where the model refuses it, as a named function or by an instruction"),
        "tool_choice.function": _mapped(
            "`tool`; where the model refuses it, by structured output, else by an instruction"
        ),
        "tool_choice.custom": _mapped("`tool`; where the model refuses it, by an instruction"),
        "tool_choice.allowed_tools": _emulated("by an instruction, and calls of others are left out"),
        "response_format.text": _mapped("Claude's default"),
        "response_format.json_object": _emulated("asked for in words; a code fence is taken off"),
        "response_format.json_schema": _mapped(
            "`output_config.format`; schemas outside Claude's subset are asked for in words"
        ),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""


def encode_table() -> str:
    """Encode as the Markdown table of docs/compatibility.md."""
    rows = [f"| `{name}` | {parameter.treatment} | {parameter.how} |" for name, parameter in PARAMETERS.items()]
    return "\n".join(["| parameter | class | how |", "|---|---|---|", *rows, ""])
