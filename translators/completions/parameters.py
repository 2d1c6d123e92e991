"""Every request parameter of legacy Completions, and what becomes of it: a table of docs/compatibility.md.

The keys are those of the `openai` package (`openai.types.completion_create_params`). A test holds the keys to the
package, and one test per row holds the class to the translation.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.parameters import Parameter, emulated, ignored, mapped, refused

__all__ = ["PARAMETERS"]

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "model": mapped(
            "Claude ids are used as they are, retired ones become their successors; any other name goes by the "
            "aliases, or else by the default model"
        ),
        "prompt": emulated(
            "Claude is asked to complete the text, with one call for each text of a list; arrays of tokens are "
            "refused with a 400"
        ),
        "best_of": ignored("Claude gives no log probabilities to choose by; the client gets `n` answers"),
        "echo": emulated("the prompt is put before the answer"),
        "frequency_penalty": ignored("no equivalent"),
        "logit_bias": ignored("no equivalent"),
        "logprobs": refused("Claude gives no log probabilities"),
        "max_tokens": mapped(
            "`max_tokens`, 16 if left out; 0 is refused; thinking is off, or as little as the model can"
        ),
        "n": emulated("that many calls for each prompt, at most 8 in all; more are refused"),
        "presence_penalty": ignored("no equivalent"),
        "seed": ignored("Claude's answers cannot be made repeatable"),
        "stop": mapped(
            "`stop_sequences`; the proxy itself watches the text for strings of white space only, and for those "
            "beyond the fourth"
        ),
        "stream": mapped("Claude is always asked to stream; a whole answer is gathered from the stream"),
        "stream_options": mapped("see its fields below"),
        "suffix": refused("Claude does not fill in the middle of a text"),
        "temperature": mapped(
            "up to 1, on models of the families 4.5 and 4.6; otherwise it is ignored, with a warning"
        ),
        "top_p": mapped("like `temperature`, which wins if both are given"),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "stream_options.include_usage": mapped("one more chunk at the end, with the usage"),
        "stream_options.include_obfuscation": ignored("chunks are not padded"),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
