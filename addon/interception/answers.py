"""Which function answers which endpoint."""

from collections.abc import Mapping
from types import MappingProxyType

from addon.batches.endpoint import answer_batch, answer_batch_cancel, answer_batches, answer_new_batch
from addon.endpoints.anthropic_api import answer_anthropic
from addon.endpoints.chat_completions import answer_chat_completion
from addon.endpoints.completions import answer_completion
from addon.endpoints.health import answer_health, answer_ready
from addon.endpoints.metrics_page import answer_metrics
from addon.endpoints.models import answer_model, answer_models
from addon.endpoints.other_endpoints import answer_from_other_backend
from addon.endpoints.stored_completions import (
    answer_completion_deletion,
    answer_completion_messages,
    answer_completion_update,
    answer_stored_completion,
    answer_stored_completions,
)
from addon.exchanges.exchange import Answer
from addon.files.endpoint import (
    answer_file,
    answer_file_content,
    answer_file_deletion,
    answer_files,
    answer_new_file,
)
from addon.files.uploads import answer_new_part, answer_new_upload, answer_upload_cancel, answer_upload_completion
from addon.responses.compaction import answer_compaction
from addon.responses.conversations import (
    answer_conversation,
    answer_conversation_deletion,
    answer_conversation_item,
    answer_conversation_item_deletion,
    answer_conversation_items,
    answer_conversation_update,
    answer_new_conversation,
    answer_new_conversation_items,
)
from addon.responses.endpoint import answer_response
from addon.responses.input_tokens import answer_input_tokens
from addon.responses.stored import answer_cancel, answer_delete, answer_input_items, answer_stored_response
from addon.responses.websocket import answer_websocket
from addon.routing import Endpoint

__all__ = ["ANSWERS"]

ANSWERS: Mapping[Endpoint, Answer] = MappingProxyType(
    {
        Endpoint.CHAT_COMPLETIONS: answer_chat_completion,
        Endpoint.COMPLETIONS: answer_completion,
        Endpoint.STORED_COMPLETIONS: answer_stored_completions,
        Endpoint.STORED_COMPLETION: answer_stored_completion,
        Endpoint.STORED_COMPLETION_UPDATE: answer_completion_update,
        Endpoint.STORED_COMPLETION_DELETION: answer_completion_deletion,
        Endpoint.STORED_COMPLETION_MESSAGES: answer_completion_messages,
        Endpoint.NEW_FILE: answer_new_file,
        Endpoint.FILES: answer_files,
        Endpoint.FILE: answer_file,
        Endpoint.FILE_CONTENT: answer_file_content,
        Endpoint.FILE_DELETION: answer_file_deletion,
        Endpoint.NEW_UPLOAD: answer_new_upload,
        Endpoint.NEW_UPLOAD_PART: answer_new_part,
        Endpoint.UPLOAD_COMPLETION: answer_upload_completion,
        Endpoint.UPLOAD_CANCEL: answer_upload_cancel,
        Endpoint.NEW_BATCH: answer_new_batch,
        Endpoint.BATCHES: answer_batches,
        Endpoint.BATCH: answer_batch,
        Endpoint.BATCH_CANCEL: answer_batch_cancel,
        Endpoint.MODELS: answer_models,
        Endpoint.MODEL: answer_model,
        Endpoint.HEALTH: answer_health,
        Endpoint.READY: answer_ready,
        Endpoint.METRICS: answer_metrics,
        Endpoint.RESPONSES: answer_response,
        Endpoint.RESPONSE: answer_stored_response,
        Endpoint.RESPONSE_DELETION: answer_delete,
        Endpoint.RESPONSE_CANCEL: answer_cancel,
        Endpoint.RESPONSE_INPUT_ITEMS: answer_input_items,
        Endpoint.RESPONSES_COMPACT: answer_compaction,
        Endpoint.RESPONSES_INPUT_TOKENS: answer_input_tokens,
        Endpoint.RESPONSES_WEBSOCKET: answer_websocket,
        Endpoint.NEW_CONVERSATION: answer_new_conversation,
        Endpoint.CONVERSATION: answer_conversation,
        Endpoint.CONVERSATION_UPDATE: answer_conversation_update,
        Endpoint.CONVERSATION_DELETION: answer_conversation_deletion,
        Endpoint.CONVERSATION_ITEMS: answer_conversation_items,
        Endpoint.NEW_CONVERSATION_ITEMS: answer_new_conversation_items,
        Endpoint.CONVERSATION_ITEM: answer_conversation_item,
        Endpoint.CONVERSATION_ITEM_DELETION: answer_conversation_item_deletion,
        Endpoint.ANTHROPIC: answer_anthropic,
        Endpoint.OTHER_BACKEND: answer_from_other_backend,
    }
)
