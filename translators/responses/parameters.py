"""Every request parameter of the Responses API, and what becomes of it: the table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.responses`): parameters and their fields, input items by type,
types of content parts, tools by type and the fields of those that the client runs, tool choices, formats, and values of
`include`. A test holds the keys to the package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.parameters import Parameter, emulated, ignored, mapped, refused

__all__ = ["PARAMETERS"]

_BREAKPOINT = "`prompt_cache_breakpoint` becomes `cache_control` of the block, for the last four at most"
_HOSTED_ITEM = "left out, because OpenAI ran the tool"
_HOSTED_TOOL = "only OpenAI can run it; the error names it"
_COMPUTER_TOOL = "Claude's own computer tools point, scroll and name keys differently; the error names the tool"
_HOSTED_CHOICE = "the tool itself is refused"
_ASYNC = "each call is answered before Claude goes on"
_CALLERS = "no program could call the tool, so the model calls it itself; reported if `direct` is missing"
_DEFER = "the tool is declared from the start"
_SEARCH = "Claude's web search; the answer has `web_search_call` items and annotations"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "access_programs": ignored("it concerns OpenAI's own service"),
        "background": emulated("the response is made apart from the request, and kept for its client to ask for"),
        "background_options": ignored("there is only one speed"),
        "context_management": emulated(
            "above the threshold, by Claude's count, a summary is made first; the answer begins with a `compaction` "
            "item and goes on from there"
        ),
        "conversation": emulated("the stored items come before `input`"),
        "image": ignored("Claude sees every image in full"),
        "include": mapped("see its fields below"),
        "input": mapped("`messages`; see its items below"),
        "instructions": mapped("the first block of `system`"),
        "max_output_tokens": mapped("`max_tokens`, up to the model's maximum and the operator's limit"),
        "max_tool_calls": mapped("`max_uses` of the web search"),
        "metadata": emulated("kept with the response, and repeated in it"),
        "model": mapped(
            "Claude ids are used as they are, retired ones become their successors; any other name goes by the "
            "aliases, or else by the default model"
        ),
        "moderation": refused("if its policy blocks; otherwise it is ignored, with a warning"),
        "parallel_tool_calls": mapped("`false` becomes `disable_parallel_tool_use`"),
        "previous_response_id": emulated("its stored items come before `input`"),
        "prompt": refused("stored prompts are OpenAI's"),
        "prompt_cache_key": ignored("Claude finds the cached prefix by itself"),
        "prompt_cache_options": mapped("see its fields below"),
        "prompt_cache_retention": mapped("`24h` becomes a time to live of 1 hour, the longest that Claude has"),
        "reasoning": mapped("see its fields below"),
        "safety_identifier": mapped("`metadata.user_id`, as a SHA-256 hash; it wins over `user`"),
        "service_tier": mapped(
            "`default`, `flex` and `scale` become `standard_only`; `priority`, `fast` and `ultrafast` are ignored, "
            "with a warning"
        ),
        "store": emulated("kept by the proxy"),
        "stream": mapped("Claude is always asked to stream; a whole answer is gathered from the stream"),
        "stream_options": ignored("see its fields below"),
        "temperature": mapped(
            "up to 1, on models of the families 4.5 and 4.6 that do not think; otherwise it is ignored, with a warning"
        ),
        "text": mapped("see its fields below"),
        "tool_choice": mapped("`tool_choice`; see its values below"),
        "tools": mapped("`tools`; see their types below"),
        "top_logprobs": ignored("Claude gives no log probabilities"),
        "top_p": mapped("like `temperature`, which wins if both are given"),
        "truncation": emulated(
            "`auto`: if Claude finds the input too long, it is asked again without the oldest turns; `disabled`: the "
            "request is refused"
        ),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "stream_options.include_obfuscation": ignored("events are not padded"),
        "prompt_cache_options.mode": mapped("`explicit` turns the automatic `cache_control` off"),
        "prompt_cache_options.ttl": mapped("a time to live of 1 hour"),
        "prompt_cache_options.prewarm": ignored("no equivalent"),
        "prompt_cache_options.comparison_response_id": ignored("no equivalent"),
        "reasoning.effort": mapped(
            "`thinking` and `output_config.effort`, up to what the model supports; without it the model decides how "
            "much to think, or thinks as little as it can if the cap is less than 1,024 tokens"
        ),
        "reasoning.summary": mapped("Claude is asked for the summary of its thinking"),
        "reasoning.generate_summary": mapped("as `summary`"),
        "reasoning.context": ignored(
            "`current_turn` has no effect: earlier thinking stays, for the sake of Claude's cache"
        ),
        "reasoning.mode": ignored("Claude has no equivalent of `pro`"),
        "text.format": mapped("`output_config.format`; see its types below"),
        "text.verbosity": ignored("no equivalent"),
        "text.format.text": mapped("Claude's default"),
        "text.format.json_object": emulated("asked for in words; a code fence around the answer is removed"),
        "text.format.json_schema": mapped(
            "`output_config.format`; a schema outside Claude's subset is asked for in words; what is no JSON schema is "
            "refused"
        ),
        "include.reasoning.encrypted_content": mapped("the answer always has it"),
        "include.web_search_call.action.sources": mapped("the answer has them"),
        "include.web_search_call.results": ignored("Claude's results are sealed"),
        "include.message.output_text.logprobs": refused("Claude gives no log probabilities"),
        "include.message.input_image.image_url": ignored("no answer repeats the image"),
        "include.computer_call_output.output.image_url": ignored(_HOSTED_ITEM),
        "include.code_interpreter_call.outputs": mapped("what the code printed"),
        "include.file_search_call.results": ignored(_HOSTED_ITEM),
        "input.message": mapped(
            "`system`, `user` or `assistant`, by its role; instructions in mid-conversation stay in their place"
        ),
        "input.reasoning": mapped(
            "`thinking`, from the `encrypted_content` that this proxy made; any other is left out, and named in "
            "`input_transformations`"
        ),
        "input.function_call": mapped(
            "`tool_use`; if no reasoning items come with it, what Claude had thought is put before it; a call without "
            "its result gets one that says so"
        ),
        "input.function_call_output": mapped("`tool_result`, with images and files too"),
        "input.custom_tool_call": emulated("`tool_use` whose input is one string"),
        "input.custom_tool_call_output": mapped("`tool_result`"),
        "input.tool_search_call": emulated("`tool_use`; a search that OpenAI ran is left out"),
        "input.tool_search_output": emulated("`tool_result`; the tools that were found are declared after the others"),
        "input.additional_tools": emulated("declared after the other tools"),
        "input.configuration_update": emulated("the last one holds for this answer"),
        "input.shell_call": emulated("`tool_use`"),
        "input.shell_call_output": emulated("`tool_result`, as JSON"),
        "input.local_shell_call": emulated("`tool_use`"),
        "input.local_shell_call_output": emulated("`tool_result`"),
        "input.apply_patch_call": emulated("`tool_use`"),
        "input.apply_patch_call_output": emulated("`tool_result`"),
        "input.agent_message": emulated(
            "a message of the user; its `encrypted_content` is plain text, as it was in the call"
        ),
        "input.item_reference": emulated("the stored item"),
        "input.compaction": emulated(
            "the summary becomes a part of the user's turn; one that this proxy did not make cannot be read"
        ),
        "input.compaction_trigger": emulated("Claude is asked for a summary; the answer is one `compaction` item"),
        "input.web_search_call": ignored(
            "what was found is in the reasoning item beside it; without that item, the call is left out"
        ),
        "input.file_search_call": ignored(_HOSTED_ITEM),
        "input.computer_call": ignored("left out, because the tool is refused"),
        "input.computer_call_output": ignored("left out, because the tool is refused"),
        "input.image_generation_call": ignored(_HOSTED_ITEM),
        "input.code_interpreter_call": ignored(
            "like a web search; later code runs in the same container if `store` kept it"
        ),
        "input.mcp_list_tools": ignored("Claude asks the server for its tools again"),
        "input.mcp_approval_request": ignored(_HOSTED_ITEM),
        "input.mcp_approval_response": ignored(_HOSTED_ITEM),
        "input.mcp_call": ignored("like a web search"),
        "input.multi_agent_call": ignored(_HOSTED_ITEM),
        "input.multi_agent_call_output": ignored(_HOSTED_ITEM),
        "input.program": ignored(_HOSTED_ITEM),
        "input.program_output": ignored(_HOSTED_ITEM),
        "content.input_text": mapped(f"`text`; {_BREAKPOINT}"),
        "content.input_image": mapped("`image`, by its bytes, URL or file id; the media type is read from the bytes"),
        "content.input_file": mapped(
            "`document` for a PDF or text, `image` for an image, also by URL or an uploaded file's id"
        ),
        "content.output_text": mapped("`text`"),
        "content.refusal": mapped("`text`"),
        "tools.function": mapped("a tool"),
        "tools.function.name": mapped(
            "as it is; a name outside Claude's alphabet is replaced, and restored in the answer"
        ),
        "tools.function.description": mapped("`description`"),
        "tools.function.parameters": mapped(
            "`input_schema`; a schema that is no object is wrapped in one; what is no JSON schema is refused"
        ),
        "tools.function.strict": mapped(
            "`strict`, if the schema is within Claude's subset and limits and Claude can compile it. If left out, "
            "strictness is tried, with at most 10 optional properties; if `true` and not possible, a warning says so"
        ),
        "tools.function.output_schema": ignored("Claude is not told what a tool returns"),
        "tools.function.defer_loading": ignored(_DEFER),
        "tools.function.allowed_callers": ignored(_CALLERS),
        "tools.function.async": ignored(_ASYNC),
        "tools.custom": emulated("a tool whose input is one string"),
        "tools.custom.name": emulated("as the name of a function"),
        "tools.custom.description": mapped("`description`"),
        "tools.custom.format": emulated("the grammar is put into the description"),
        "tools.custom.defer_loading": ignored(_DEFER),
        "tools.custom.allowed_callers": ignored(_CALLERS),
        "tools.custom.async": ignored(_ASYNC),
        "tools.namespace": emulated(
            "its tools are declared as `namespace__name`, and have their own names in the answer"
        ),
        "tools.tool_search": emulated(
            "if the client runs it, a tool; if the server does, all tools are declared from the start"
        ),
        "tools.web_search": mapped(_SEARCH),
        "tools.web_search.filters": mapped("`allowed_domains`"),
        "tools.web_search.search_context_size": mapped("at most 1, 5 or 10 searches for `low`, `medium` or `high`"),
        "tools.web_search.user_location": mapped("`user_location`"),
        "tools.web_search.external_web_access": emulated("`false`: the search is not declared"),
        "tools.web_search_2025_08_26": mapped(_SEARCH),
        "tools.web_search_preview": mapped(_SEARCH),
        "tools.web_search_preview_2025_03_11": mapped(_SEARCH),
        "tools.local_shell": emulated("a tool whose input is the action"),
        "tools.shell": emulated(
            "if the client runs it, a tool whose input is the action; in a container it is refused"
        ),
        "tools.apply_patch": emulated("a tool whose input is the operation"),
        "tools.file_search": refused(_HOSTED_TOOL),
        "tools.computer": refused(_COMPUTER_TOOL),
        "tools.computer_use_preview": refused(_COMPUTER_TOOL),
        "tools.mcp": mapped(
            "Claude's MCP connector; OpenAI's connectors, tunnels, other headers and approval are refused"
        ),
        "tools.code_interpreter": mapped("Claude's code execution, also with the container's `file_ids`"),
        "tools.programmatic_tool_calling": refused(_HOSTED_TOOL),
        "tools.image_generation": refused(_HOSTED_TOOL),
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
        "tool_choice.allowed_tools": emulated(
            "by an instruction; calls of other tools are left out of the answer, except those of remote servers"
        ),
        "tool_choice.shell": mapped("like `tool_choice.custom`"),
        "tool_choice.apply_patch": mapped("like `tool_choice.custom`"),
        "tool_choice.web_search_preview": mapped("like `tool_choice.custom`"),
        "tool_choice.web_search_preview_2025_03_11": mapped("like `tool_choice.custom`"),
        "tool_choice.file_search": refused(_HOSTED_CHOICE),
        "tool_choice.computer": refused(_HOSTED_CHOICE),
        "tool_choice.computer_use": refused(_HOSTED_CHOICE),
        "tool_choice.computer_use_preview": refused(_HOSTED_CHOICE),
        "tool_choice.image_generation": refused(_HOSTED_CHOICE),
        "tool_choice.code_interpreter": mapped("like `tool_choice.custom`"),
        "tool_choice.mcp": emulated("like `required`: Claude has to call some tool"),
        "tool_choice.programmatic_tool_calling": refused(_HOSTED_CHOICE),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
