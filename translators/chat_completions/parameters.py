"""Every request parameter of Chat Completions, and what becomes of it: the table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.chat.completion_create_params`): parameters, then fields of
messages by role, types of content parts, fields of tools by type, tool choices and response formats. A test holds the
keys to the package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.parameters import Parameter, emulated, ignored, mapped, refused

__all__ = ["PARAMETERS"]

_BREAKPOINT = "`prompt_cache_breakpoint`: `cache_control` of the block, the last four at most"
_NAME = "said in a line before the message"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "messages": mapped("`system` and `messages`"),
        "model": mapped(
            "claude ids as they are, retired ones to their successors, others by the alias table and the default"
        ),
        "audio": refused("no Claude model speaks"),
        "frequency_penalty": ignored("no equivalent"),
        "function_call": mapped("`tool_choice`"),
        "functions": mapped("`tools`; answered with `function_call`"),
        "logit_bias": ignored("no equivalent"),
        "logprobs": refused("`true`: Claude gives no log probabilities"),
        "max_completion_tokens": mapped("`max_tokens`, at most the model's maximum and the operator's limit"),
        "max_tokens": mapped("`max_tokens`; of both caps the smaller"),
        "metadata": emulated("kept with a stored completion; without `store` ignored, with a warning"),
        "modalities": refused("with `audio`; `text` alone is what Claude does"),
        "moderation": refused("where the policy blocks; without one it is ignored, with a warning"),
        "n": emulated("that many calls in parallel, 8 at most; more are refused"),
        "parallel_tool_calls": mapped("`false`: `disable_parallel_tool_use`"),
        "prediction": ignored("it would save time, and changes no answer"),
        "presence_penalty": ignored("no equivalent"),
        "prompt_cache_key": ignored("Claude finds the prefix by itself"),
        "prompt_cache_options": mapped("`ttl`: a time to live of 1 hour; `explicit`: no automatic `cache_control`"),
        "prompt_cache_retention": mapped("`24h`: a time to live of 1 hour, the longest that Claude has"),
        "reasoning_effort": mapped(
            "`thinking` and `output_config.effort`, at most what the model knows; without it Claude thinks as the "
            "model does by itself, but as little as it can under a cap of less than 1,024 tokens"
        ),
        "response_format": mapped("`output_config.format`, see below"),
        "safety_identifier": mapped("`metadata.user_id`, as a SHA-256 hash; before `user`"),
        "seed": ignored("Claude is not deterministic"),
        "service_tier": mapped(
            "`default`, `flex`, `scale`: `standard_only`; `priority`, `fast`: ignored, with a warning"
        ),
        "stop": mapped("`stop_sequences`; white space alone, and more than 4, by watching the text"),
        "store": emulated("kept by the proxy with its messages, to be got, listed, changed and deleted"),
        "stream": mapped("Claude always streams; whole answers are gathered"),
        "stream_options": mapped("see below"),
        "temperature": mapped(
            "on models of the families 4.5 and 4.6 without thinking, 1 at most; else ignored, with a warning"
        ),
        "tool_choice": mapped("`tool_choice`, see below"),
        "tools": mapped("`tools`, see below"),
        "top_logprobs": ignored("without `logprobs` it says nothing"),
        "top_p": mapped("as `temperature`, which goes first where both are given"),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "verbosity": ignored("no equivalent"),
        "web_search_options": mapped(
            "Claude's web search: 1, 5 or 10 searches for `low`, `medium`, `high`; sources as annotations"
        ),
        "stream_options.include_usage": mapped("one more chunk, with the usage"),
        "stream_options.include_obfuscation": ignored("chunks are not padded"),
        "messages.developer.content": mapped("as `system`"),
        "messages.developer.name": emulated(_NAME),
        "messages.developer.role": mapped("as `system`"),
        "messages.system.content": mapped(
            "at the head `system` blocks; later an entry of role `system`, or tagged text"
        ),
        "messages.system.name": emulated(_NAME),
        "messages.system.role": mapped("`system`"),
        "messages.user.content": mapped("blocks"),
        "messages.user.name": emulated(_NAME),
        "messages.user.role": mapped("`user`"),
        "messages.assistant.audio": ignored("an earlier spoken answer"),
        "messages.assistant.content": mapped(
            "text; as the last message, where the model continues none, a user's turn follows"
        ),
        "messages.assistant.function_call": mapped("`tool_use`"),
        "messages.assistant.name": ignored("the model would copy it"),
        "messages.assistant.refusal": mapped("text"),
        "messages.assistant.role": mapped("`assistant`"),
        "messages.assistant.tool_calls": mapped(
            "`tool_use`; what Claude thought before them is put back, of an answer whose calls come one by one too"
        ),
        "messages.tool.content": mapped("`tool_result`, images and files too"),
        "messages.tool.role": mapped("`tool_result`, grouped and first in the user's turn"),
        "messages.tool.tool_call_id": mapped("`tool_use_id`; without its call the result becomes the user's text"),
        "messages.function.content": mapped("`tool_result`"),
        "messages.function.name": mapped("answers the last open call of that name"),
        "messages.function.role": mapped("`tool_result`"),
        "content.text": mapped(f"`text`; {_BREAKPOINT}"),
        "content.image_url": mapped("`image`, by its bytes or URL; media type by its bytes; `detail` ignored"),
        "content.input_audio": refused("no Claude model hears"),
        "content.file": mapped(
            "`document`: PDF, text, or an uploaded file's id; images as `image`; other kinds refused"
        ),
        "content.refusal": mapped("text"),
        "tools.function.name": mapped("outside Claude's alphabet: another name, and back in the answer"),
        "tools.function.description": mapped("`description`"),
        "tools.function.parameters": mapped(
            "`input_schema`; wrapped in an object where it is none, or names a property outside Claude's alphabet; "
            "refused where it is no JSON schema"
        ),
        "tools.function.strict": mapped(
            "`strict`, if the schema is in Claude's subset and limits, and Claude can compile it; else not strict, "
            "with a warning"
        ),
        "tools.custom.name": emulated("a tool with one string as its input"),
        "tools.custom.description": mapped("`description`"),
        "tools.custom.format": emulated("the grammar is said in the description"),
        "tool_choice.none": mapped("`none`; the tools stay"),
        "tool_choice.auto": mapped("Claude's default"),
        "tool_choice.required": mapped("`any`; where the model refuses it, as a named function or by an instruction"),
        "tool_choice.function": mapped(
            "`tool`; where the model refuses it, by structured output, else by an instruction"
        ),
        "tool_choice.custom": mapped("`tool`; where the model refuses it, by an instruction"),
        "tool_choice.allowed_tools": emulated("by an instruction, and calls of others are left out"),
        "response_format.text": mapped("Claude's default"),
        "response_format.json_object": emulated("asked for in words; a code fence is taken off"),
        "response_format.json_schema": mapped(
            "`output_config.format`; schemas outside Claude's subset are asked for in words, "
            "and what is no JSON schema is refused"
        ),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
