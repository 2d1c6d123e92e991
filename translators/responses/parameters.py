"""Every request parameter of the Responses API, and what becomes of it: the table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.responses`): parameters and their fields, input items by type,
types of content parts, tools by type and the fields of those that the client runs, tool choices, formats, and values of
`include`. A test holds the keys to the package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.parameters import Parameter, emulated, ignored, mapped, refused

__all__ = ["PARAMETERS"]

_BREAKPOINT = "`prompt_cache_breakpoint`: `cache_control` of the block, the last four at most"
_HOSTED_ITEM = "left out: OpenAI ran the tool"
_HOSTED_TOOL = "OpenAI runs it: refused by name"
_COMPUTER_TOOL = "Claude's own computer tools point, scroll and name keys otherwise: refused by name"
_HOSTED_CHOICE = "the tool is refused"
_ASYNC = "calls are answered before Claude goes on"
_CALLERS = "without `direct`: there are no programs, the model calls the tool itself"
_DEFER = "the tool is declared from the start"
_SEARCH = "Claude's web search, with `web_search_call` items and annotations"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "access_programs": ignored("of OpenAI's service"),
        "background": emulated("the response is made apart from the request, and kept to be asked for"),
        "background_options": ignored("there is one speed"),
        "context_management": emulated(
            "above the threshold, as Claude counts, a summary is made first: the answer begins with a `compaction` "
            "item, and goes on from it"
        ),
        "conversation": emulated("the stored items come before `input`"),
        "image": ignored("Claude sees every image in full"),
        "include": mapped("see below"),
        "input": mapped("`messages`, see below"),
        "instructions": mapped("the first block of `system`"),
        "max_output_tokens": mapped("`max_tokens`, at most the model's maximum and the operator's limit"),
        "max_tool_calls": mapped("`max_uses` of the web search"),
        "metadata": emulated("kept with the response, and repeated in it"),
        "model": mapped(
            "claude ids as they are, retired ones to their successors, others by the alias table and the default"
        ),
        "moderation": refused("where the policy blocks; without one it is ignored, with a warning"),
        "parallel_tool_calls": mapped("`false`: `disable_parallel_tool_use`"),
        "previous_response_id": emulated("its stored items come before `input`"),
        "prompt": refused("stored prompts are OpenAI's"),
        "prompt_cache_key": ignored("Claude finds the prefix by itself"),
        "prompt_cache_options": mapped("see below"),
        "prompt_cache_retention": mapped("`24h`: a time to live of 1 hour, the longest that Claude has"),
        "reasoning": mapped("see below"),
        "safety_identifier": mapped("`metadata.user_id`, as a SHA-256 hash; before `user`"),
        "service_tier": mapped(
            "`default`, `flex`, `scale`: `standard_only`; `priority`, `fast`, `ultrafast`: ignored, with a warning"
        ),
        "store": emulated("kept by the proxy"),
        "stream": mapped("Claude always streams; whole answers are gathered"),
        "stream_options": ignored("see below"),
        "temperature": mapped(
            "on models of the families 4.5 and 4.6 without thinking, 1 at most; else ignored, with a warning"
        ),
        "text": mapped("see below"),
        "tool_choice": mapped("`tool_choice`, see below"),
        "tools": mapped("`tools`, see below"),
        "top_logprobs": ignored("Claude gives no log probabilities"),
        "top_p": mapped("as `temperature`, which goes first where both are given"),
        "truncation": emulated(
            "`auto`: what Claude finds too long is asked again without the oldest turns; `disabled`: it is refused"
        ),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "stream_options.include_obfuscation": ignored("events are not padded"),
        "prompt_cache_options.mode": mapped("`explicit`: no automatic `cache_control`"),
        "prompt_cache_options.ttl": mapped("a time to live of 1 hour"),
        "prompt_cache_options.prewarm": ignored("no equivalent"),
        "prompt_cache_options.comparison_response_id": ignored("no equivalent"),
        "reasoning.effort": mapped(
            "`thinking` and `output_config.effort`, at most what the model knows; without it Claude thinks as the "
            "model does by itself, but as little as it can under a cap of less than 1,024 tokens"
        ),
        "reasoning.summary": mapped("Claude is asked for the summary of its thinking"),
        "reasoning.generate_summary": mapped("as `summary`"),
        "reasoning.context": ignored("`current_turn`: what Claude thought before stays, for its cache"),
        "reasoning.mode": ignored("no equivalent of `pro`"),
        "text.format": mapped("`output_config.format`, see below"),
        "text.verbosity": ignored("no equivalent"),
        "text.format.text": mapped("Claude's default"),
        "text.format.json_object": emulated("asked for in words; a code fence is taken off"),
        "text.format.json_schema": mapped(
            "`output_config.format`; schemas outside Claude's subset are asked for in words, "
            "and what is no JSON schema is refused"
        ),
        "include.reasoning.encrypted_content": mapped("always given"),
        "include.web_search_call.action.sources": mapped("given"),
        "include.web_search_call.results": ignored("Claude's are sealed"),
        "include.message.output_text.logprobs": refused("Claude gives no log probabilities"),
        "include.message.input_image.image_url": ignored("no answer repeats an image"),
        "include.computer_call_output.output.image_url": ignored(_HOSTED_ITEM),
        "include.code_interpreter_call.outputs": mapped("what the code printed"),
        "include.file_search_call.results": ignored(_HOSTED_ITEM),
        "input.message": mapped("`system`, `user` and `assistant` by its role; later instructions stay in their place"),
        "input.reasoning": mapped(
            "`thinking`, out of the `encrypted_content` of this proxy; others are left out, and named in "
            "`input_transformations`"
        ),
        "input.function_call": mapped("`tool_use`; where no reasoning items come along, after what Claude had thought"),
        "input.function_call_output": mapped("`tool_result`, images and files too"),
        "input.custom_tool_call": emulated("`tool_use` with one string as its input"),
        "input.custom_tool_call_output": mapped("`tool_result`"),
        "input.tool_search_call": emulated("`tool_use`; a search that OpenAI made is left out"),
        "input.tool_search_output": emulated("`tool_result`; the tools are declared after those that are there"),
        "input.additional_tools": emulated("declared after the tools that are there"),
        "input.configuration_update": emulated("the last one counts for this answer"),
        "input.shell_call": emulated("`tool_use`"),
        "input.shell_call_output": emulated("`tool_result`, as JSON"),
        "input.local_shell_call": emulated("`tool_use`"),
        "input.local_shell_call_output": emulated("`tool_result`"),
        "input.apply_patch_call": emulated("`tool_use`"),
        "input.apply_patch_call_output": emulated("`tool_result`"),
        "input.agent_message": emulated("as the user's; its `encrypted_content` is plain text, as the call had it"),
        "input.item_reference": emulated("the stored item"),
        "input.compaction": emulated("the summary, in the user's turn; of others than this proxy it cannot be read"),
        "input.compaction_trigger": emulated("Claude is asked for a summary: the answer is one `compaction` item"),
        "input.web_search_call": ignored("what was found is in the reasoning item beside it; without one, left out"),
        "input.file_search_call": ignored(_HOSTED_ITEM),
        "input.computer_call": ignored("left out: the tool is refused"),
        "input.computer_call_output": ignored("left out: the tool is refused"),
        "input.image_generation_call": ignored(_HOSTED_ITEM),
        "input.code_interpreter_call": ignored("as a web search; code goes on in its container, if `store` kept it"),
        "input.mcp_list_tools": ignored("Claude asks the server again"),
        "input.mcp_approval_request": ignored(_HOSTED_ITEM),
        "input.mcp_approval_response": ignored(_HOSTED_ITEM),
        "input.mcp_call": ignored("as a web search"),
        "input.multi_agent_call": ignored(_HOSTED_ITEM),
        "input.multi_agent_call_output": ignored(_HOSTED_ITEM),
        "input.program": ignored(_HOSTED_ITEM),
        "input.program_output": ignored(_HOSTED_ITEM),
        "content.input_text": mapped(f"`text`; {_BREAKPOINT}"),
        "content.input_image": mapped("`image`, by its bytes, URL or file id; media type by its bytes"),
        "content.input_file": mapped("`document`: PDF, text, a URL or an uploaded file's id; images as `image`"),
        "content.output_text": mapped("`text`"),
        "content.refusal": mapped("`text`"),
        "tools.function": mapped("a tool"),
        "tools.function.name": mapped("outside Claude's alphabet: another name, and back in the answer"),
        "tools.function.description": mapped("`description`"),
        "tools.function.parameters": mapped(
            "`input_schema`; what is no object is wrapped in one, and what is no JSON schema refused"
        ),
        "tools.function.strict": mapped(
            "`strict`, if the schema is in Claude's subset and limits, and Claude can compile it; left out it is "
            "tried (with 10 optional properties at most), `true` is reported where it fails"
        ),
        "tools.function.output_schema": ignored("Claude is not told what a tool returns"),
        "tools.function.defer_loading": ignored(_DEFER),
        "tools.function.allowed_callers": ignored(_CALLERS),
        "tools.function.async": ignored(_ASYNC),
        "tools.custom": emulated("a tool with one string as its input"),
        "tools.custom.name": emulated("as of a function"),
        "tools.custom.description": mapped("`description`"),
        "tools.custom.format": emulated("the grammar is said in the description"),
        "tools.custom.defer_loading": ignored(_DEFER),
        "tools.custom.allowed_callers": ignored(_CALLERS),
        "tools.custom.async": ignored(_ASYNC),
        "tools.namespace": emulated("its tools are named `namespace__name`, and by their own names in the answer"),
        "tools.tool_search": emulated(
            "run by the client: a tool; run by the server: all tools are declared from the start"
        ),
        "tools.web_search": mapped(_SEARCH),
        "tools.web_search.filters": mapped("`allowed_domains`"),
        "tools.web_search.search_context_size": mapped("1, 5 or 10 searches for `low`, `medium`, `high`"),
        "tools.web_search.user_location": mapped("`user_location`"),
        "tools.web_search.external_web_access": emulated("`false`: no search is declared"),
        "tools.web_search_2025_08_26": mapped(_SEARCH),
        "tools.web_search_preview": mapped(_SEARCH),
        "tools.web_search_preview_2025_03_11": mapped(_SEARCH),
        "tools.local_shell": emulated("a tool whose input is the action"),
        "tools.shell": emulated("the client's own: a tool whose input is the action; in a container: refused"),
        "tools.apply_patch": emulated("a tool whose input is the operation"),
        "tools.file_search": refused(_HOSTED_TOOL),
        "tools.computer": refused(_COMPUTER_TOOL),
        "tools.computer_use_preview": refused(_COMPUTER_TOOL),
        "tools.mcp": mapped("Claude's MCP connector; connectors, tunnels, other headers and approval are refused"),
        "tools.code_interpreter": mapped("Claude's code execution; `file_ids` of its container too"),
        "tools.programmatic_tool_calling": refused(_HOSTED_TOOL),
        "tools.image_generation": refused(_HOSTED_TOOL),
        "tool_choice.none": mapped("`none`; the tools stay"),
        "tool_choice.auto": mapped("Claude's default"),
        "tool_choice.required": mapped("`any`; where the model refuses it, as a named function or by an instruction"),
        "tool_choice.function": mapped(
            "`tool`; where the model refuses it, by structured output, else by an instruction"
        ),
        "tool_choice.custom": mapped("`tool`; where the model refuses it, by an instruction"),
        "tool_choice.allowed_tools": emulated(
            "by an instruction, and calls of others are left out, but for those of remote servers"
        ),
        "tool_choice.shell": mapped("as a custom tool"),
        "tool_choice.apply_patch": mapped("as a custom tool"),
        "tool_choice.web_search_preview": mapped("as a custom tool"),
        "tool_choice.web_search_preview_2025_03_11": mapped("as a custom tool"),
        "tool_choice.file_search": refused(_HOSTED_CHOICE),
        "tool_choice.computer": refused(_HOSTED_CHOICE),
        "tool_choice.computer_use": refused(_HOSTED_CHOICE),
        "tool_choice.computer_use_preview": refused(_HOSTED_CHOICE),
        "tool_choice.image_generation": refused(_HOSTED_CHOICE),
        "tool_choice.code_interpreter": mapped("as a custom tool"),
        "tool_choice.mcp": emulated("as `required`: some tool has to be called"),
        "tool_choice.programmatic_tool_calling": refused(_HOSTED_CHOICE),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
