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
            "claude ids as they are, retired ones to their successors, others by the alias table and the default"
        ),
        "prompt": emulated(
            "Claude is asked to complete the text; a list: one call each; arrays of tokens are refused with a 400"
        ),
        "best_of": ignored("Claude gives no log probabilities to choose by; `n` answers come"),
        "echo": emulated("the prompt is put before the answer"),
        "frequency_penalty": ignored("no equivalent"),
        "logit_bias": ignored("no equivalent"),
        "logprobs": refused("Claude gives no log probabilities"),
        "max_tokens": mapped("`max_tokens`, 16 where left out; 0 is refused; thinking is off, or least"),
        "n": emulated("that many calls for each prompt, 8 in all at most; more are refused"),
        "presence_penalty": ignored("no equivalent"),
        "seed": ignored("Claude is not deterministic"),
        "stop": mapped("`stop_sequences`; white space alone, and more than 4, by watching the text"),
        "stream": mapped("Claude always streams; whole answers are gathered"),
        "stream_options": mapped("see below"),
        "suffix": refused("Claude does not fill in the middle of a text"),
        "temperature": mapped("on models of the families 4.5 and 4.6, 1 at most; else ignored, with a warning"),
        "top_p": mapped("as `temperature`, which goes first where both are given"),
        "user": mapped("`metadata.user_id`, as a SHA-256 hash"),
        "stream_options.include_usage": mapped("one more chunk, with the usage"),
        "stream_options.include_obfuscation": ignored("chunks are not padded"),
    }
)
"""The closed table. A dotted key is a part of the parameter before it."""
