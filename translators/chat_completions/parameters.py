"""Every request parameter of Chat Completions, and what becomes of it: the table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.chat.completion_create_params`): parameters, then fields of
messages by role, types of content parts, fields of tools by type, tool choices and response formats. A test holds the
keys to the package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.parameters import Parameter, emulated, ignored, mapped, refused

__all__ = ["PARAMETERS"]

_BREAKPOINT = "`prompt_cache_breakpoint` becomes `cache_control` of the block, for the last four at most"
_NAME = "put in a line before the message"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "messages": mapped(
            "`system` and `messages`; a first turn of the user that is missing, or any that is empty, gets a few words"
        ),
        "model": mapped(
            "Claude ids are used as they are, retired ones become their successors; any other name goes by the "
            "aliases, or else by the default model"
        ),
        "audio": refused("no Claude model speaks"),
        "frequency_penalty": ignored("no equivalent"),
        "function_call": mapped("`tool_choice`"),
        "functions": mapped("`tools`; the answer has a `function_call`"),
        "logit_bias": ignored("no equivalent"),
        "logprobs": refused("if `true`: Claude gives no log probabilities"),
        "max_completion_tokens": mapped("`max_tokens`, up to the model's maximum and the operator's limit"),
        "max_tokens": mapped("`max_tokens`; if both caps are given, the smaller one"),
        "metadata": emulated("kept with a stored completion; without `store` it is ignored, with a warning"),
        "modalities": refused("if it asks for `audio`; `text` is what Claude does"),
        "moderation": refused("if its policy blocks; otherwise it is ignored, with a warning"),
        "n": emulated("that many calls in parallel, at most 8; more are refused"),
        "parallel_tool_calls": mapped("`false` becomes `disable_parallel_tool_use`"),
        "prediction": ignored("it would only save time; the answer is the same without it"),
        "presence_penalty": ignored("no equivalent"),
        "prompt_cache_key": ignored("Claude finds the cached prefix by itself"),
        "prompt_cache_options": mapped(
            "`ttl` becomes a time to live of 1 hour; `explicit` turns the automatic `cache_control` off"
        ),
        "prompt_cache_retention": mapped("`24h` becomes a time to live of 1 hour, the longest that Claude has"),
        "reasoning_effort": mapped(
            "`thinking` and `output_config.effort`, up to what the model supports; without it the model decides how "
            "much to think, or thinks as little as it can if the cap is less than 1,024 tokens"
        ),
        "response_format": mapped("`output_config.format`; see its types below"),
        "safety_identifier": mapped("`metadata.user_id`, as a SHA-256 hash; it wins over `user`"),
        "seed": ignored("Claude's answers cannot be made repeatable"),
        "service_tier": mapped(
            "`default`, `flex` and `scale` become `standard_only`; `priority` and `fast` are ignored, with a warning"
        ),
        "stop": mapped(
            "`stop_sequences`; the proxy itself watches the text for strings of white space only, and for those "
            "beyond the fourth"
        ),
        "store": emulated("kept by the proxy with its messages; it can be fetched, listed, changed and deleted"),
        "stream": mapped("Claude is always asked to stream; a whole answer is gathered from the stream"),
        "stream_options": mapped("see its fields below"),
        "temperature": mapped(
            "up to 1, on models of the families 4.5 and 4.6 that do not think; otherwise it is ignored, with a warning"
        ),
        "tool_choice": mapped("`tool_choice`; see its values below"),
        "tools": mapped("`tools`; see their types below"),
        "top_logprobs": ignored("it means nothing without `logprobs`"),
        "top_p": mapped("like `temperature`, which wins if both are given"),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "verbosity": ignored("no equivalent"),
        "web_search_options": mapped(
            "Claude's web search, with at most 1, 5 or 10 searches for `low`, `medium` or `high`; sources become "
            "annotations"
        ),
        "stream_options.include_usage": mapped("one more chunk at the end, with the usage"),
        "stream_options.include_obfuscation": ignored("chunks are not padded"),
        "messages.developer.content": mapped("as `system`"),
        "messages.developer.name": emulated(_NAME),
        "messages.developer.role": mapped("as `system`"),
        "messages.system.content": mapped(
            "`system` blocks at the start; later in the conversation an entry of role `system`, or tagged text in "
            "the user's turn"
        ),
        "messages.system.name": emulated(_NAME),
        "messages.system.role": mapped("`system`"),
        "messages.user.content": mapped("content blocks"),
        "messages.user.name": emulated(_NAME),
        "messages.user.role": mapped("`user`"),
        "messages.assistant.audio": ignored("an earlier spoken answer, which Claude cannot hear"),
        "messages.assistant.content": mapped(
            "text; if it is the last message and the model does not continue one, a user's turn is added after it"
        ),
        "messages.assistant.function_call": mapped("`tool_use`"),
        "messages.assistant.name": ignored("the model would copy it"),
        "messages.assistant.refusal": mapped("text"),
        "messages.assistant.role": mapped("`assistant`"),
        "messages.assistant.tool_calls": mapped(
            "`tool_use`; what Claude thought before the calls is put back, also if the calls of one answer come back "
            "one by one; a call without its result gets one that says so, and arguments that are no JSON go as text"
        ),
        "messages.tool.content": mapped("`tool_result`, with images and files too"),
        "messages.tool.role": mapped("`tool_result`; results are grouped at the start of the user's turn"),
        "messages.tool.tool_call_id": mapped(
            "`tool_use_id`; a result without its call becomes text in the user's turn"
        ),
        "messages.function.content": mapped("`tool_result`"),
        "messages.function.name": mapped("the result answers the last open call of that name"),
        "messages.function.role": mapped("`tool_result`"),
        "content.text": mapped(f"`text`; {_BREAKPOINT}"),
        "content.image_url": mapped(
            "`image`, by its bytes or URL; the media type is read from the bytes; `detail` is ignored"
        ),
        "content.input_audio": refused("no Claude model hears"),
        "content.file": mapped(
            "`document` for a PDF or text, `image` for an image, also by an uploaded file's id; other kinds are refused"
        ),
        "content.refusal": mapped("text"),
        "tools.function.name": mapped(
            "as it is; a name outside Claude's alphabet is replaced, and restored in the answer"
        ),
        "tools.function.description": mapped("`description`"),
        "tools.function.parameters": mapped(
            "`input_schema`; wrapped in an object if it is no object, or if it names a property outside Claude's "
            "alphabet; refused if it is no JSON schema"
        ),
        "tools.function.strict": mapped(
            "`strict`, if the schema is within Claude's subset and limits and Claude can compile it; otherwise not "
            "strict, with a warning"
        ),
        "tools.custom.name": emulated("a tool whose input is one string"),
        "tools.custom.description": mapped("`description`"),
        "tools.custom.format": emulated("the grammar is put into the description"),
        "tool_choice.none": mapped("`none`; the tools are still declared"),
        "tool_choice.auto": mapped("Claude's default"),
        "tool_choice.required": mapped(
            "`any`; if the model refuses that, as a named function where there is only one tool, or else by an "
            "instruction"
        ),
        "tool_choice.function": mapped(
            "`tool`; if the model refuses that, by structured output or else by an instruction"
        ),
        "tool_choice.custom": mapped("`tool`; if the model refuses that, by an instruction"),
        "tool_choice.allowed_tools": emulated("by an instruction; calls of other tools are left out of the answer"),
        "response_format.text": mapped("Claude's default"),
        "response_format.json_object": emulated("asked for in words; a code fence around the answer is removed"),
        "response_format.json_schema": mapped(
            "`output_config.format`; a schema outside Claude's subset is asked for in words; what is no JSON schema is "
            "refused"
        ),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
