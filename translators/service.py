"""Who asks, and how urgently: `user` and `service_tier`."""

from hashlib import sha256
from typing import Any

from translators.translation_warning import TranslationWarning

__all__ = ["translate_identity", "translate_service_tier"]


def translate_identity(safety_identifier: str | None, user: str | None) -> dict[str, Any]:
    """Translate to `metadata.user_id`. Claude asks for an opaque id, and clients send names and addresses: a hash."""
    identity = safety_identifier or user
    return {"metadata": {"user_id": sha256(identity.encode()).hexdigest()}} if identity else {}


def translate_service_tier(tier: str | None) -> tuple[dict[str, Any], tuple[TranslationWarning, ...]]:
    """Translate to Claude's `service_tier`. Faster tiers than the default are not bought."""
    match tier:
        case "default" | "flex" | "scale":
            return {"service_tier": "standard_only"}, ()
        case "priority" | "fast" | "ultrafast":
            return {}, (TranslationWarning("service_tier", "ignored", f"{tier}: the default tier serves"),)
        case _:
            return {}, ()
