"""Tools and tool choice of a request: `tools`, the legacy `functions`, `tool_choice`, and `web_search_options`."""

from collections.abc import Mapping, Sequence
from typing import Any

from translators.chat_completions.request_types import (
    AllowedToolsChoice,
    ChatCompletionRequest,
    CustomChoice,
    CustomFormatGrammar,
    CustomTool,
    Function,
    FunctionChoice,
)
from translators.errors import OpenAIError
from translators.model_catalog import ModelCapabilities
from translators.request_errors import empty_string
from translators.tool_choice import ToolChoice
from translators.tools import ToolDeclaration
from translators.web_search import WEB_SEARCH, build_web_search

__all__ = ["read_choice", "read_tools", "read_web_search"]


def read_tools(request: ChatCompletionRequest) -> list[ToolDeclaration]:
    """Read the declarations: `tools`, or else the legacy `functions`.

    Raises:
        OpenAIError: 400 for a tool without a name.
    """
    if not request.tools:
        return [_read_function(function, f"functions[{i}].name") for i, function in enumerate(request.functions or ())]
    declarations = []
    for index, tool in enumerate(request.tools):
        if isinstance(tool, CustomTool):
            custom = tool.custom
            grammar = custom.format.grammar if isinstance(custom.format, CustomFormatGrammar) else None
            declarations.append(
                ToolDeclaration(
                    custom.name,
                    f"tools[{index}].custom.name",
                    custom.description or "",
                    raw_input=True,
                    grammar=(grammar.syntax, grammar.definition) if grammar is not None else None,
                )
            )
        else:
            declarations.append(_read_function(tool.function, f"tools[{index}].function.name"))
    return declarations


def _read_function(function: Function, param: str) -> ToolDeclaration:
    if not function.name:
        raise empty_string(param)
    return ToolDeclaration(function.name, param, function.description or "", function.parameters, bool(function.strict))


def read_choice(request: ChatCompletionRequest) -> ToolChoice | None:
    """Read `tool_choice`, or with the legacy `functions` also `function_call`.

    Raises:
        OpenAIError: 400 for a `function_call` of none of the `functions`.
    """
    choice = request.tool_choice if request.tools else request.tool_choice or request.function_call
    match choice:
        case None:
            return None
        case "none" | "auto" | "required":
            return ToolChoice(choice)
        case FunctionChoice():
            return ToolChoice("required", choice.function.name)
        case CustomChoice():
            return ToolChoice("required", choice.custom.name)
        case AllowedToolsChoice():
            allowed = choice.allowed_tools
            named = [tool.function or tool.custom or tool for tool in allowed.tools]
            return ToolChoice(allowed.mode, allowed=tuple(tool.name for tool in named if tool.name is not None))
        case _:
            if request.functions and choice.name not in {function.name for function in request.functions}:
                raise OpenAIError(
                    400,
                    f"Invalid value for 'function_call': no function named '{choice.name}' was specified in the "
                    "'functions' parameter.",
                    param="function_call",
                )
            return ToolChoice("required", choice.name)


def read_web_search(
    request: ChatCompletionRequest, tools: Sequence[Mapping[str, Any]], capabilities: ModelCapabilities
) -> list[dict[str, Any]]:
    """Read `web_search_options`: Claude's web search, where no tool of the client has its name.

    Raises:
        OpenAIError: 400 for a model without it, in OpenAI's words.
    """
    options = request.web_search_options
    if options is None:
        return []
    if not capabilities.web_search:
        raise OpenAIError(400, "Web search options not supported with this model.", param="web_search_options")
    if any(tool["name"] == WEB_SEARCH for tool in tools):
        return []
    place = None
    if options.user_location is not None:
        near = options.user_location.approximate
        place = {"city": near.city, "country": near.country, "region": near.region, "timezone": near.timezone}
    return [build_web_search(options.search_context_size, place=place)]
