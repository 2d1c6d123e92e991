"""All kinds of load of scripts/soak.py, and how often each comes in one round."""

from collections.abc import Mapping

from soak_apps import (
    ask,
    call_a_tool,
    cancel_a_batch,
    cancel_in_the_background,
    complete,
    list_models,
    reload_settings,
    respond_in_the_background,
    run_a_batch,
    speak_as_claude,
    store_responses,
    stream,
    stream_a_response,
    use_a_file,
    use_a_websocket,
    use_http2,
)
from soak_failures import exceed_a_limit, meet_a_break, meet_a_fault, send_what_is_refused
from soak_leavers import (
    leave_a_websocket,
    leave_before_the_answer,
    leave_in_the_request,
    leave_in_the_stream,
    leave_while_it_is_gathered,
    leave_while_it_reads_slowly,
    read_slowly,
    reset_in_http2,
)
from soak_load import Kind

KINDS: Mapping[Kind, int] = {
    ask: 16,
    stream: 12,
    call_a_tool: 4,
    complete: 2,
    list_models: 2,
    store_responses: 4,
    stream_a_response: 4,
    respond_in_the_background: 2,
    cancel_in_the_background: 1,
    use_a_file: 2,
    run_a_batch: 2,
    cancel_a_batch: 1,
    use_http2: 3,
    speak_as_claude: 4,
    use_a_websocket: 2,
    leave_a_websocket: 1,
    send_what_is_refused: 1,
    exceed_a_limit: 1,
    leave_in_the_request: 2,
    leave_before_the_answer: 2,
    leave_in_the_stream: 2,
    leave_while_it_is_gathered: 2,
    reset_in_http2: 2,
    read_slowly: 1,
    leave_while_it_reads_slowly: 1,
    meet_a_fault: 4,
    meet_a_break: 2,
    reload_settings: 1,
}
