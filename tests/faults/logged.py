"""What the proxy said in its log."""

import json
from typing import Any

import pytest


def exchanges_in(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Read the lines of the exchanges that have ended since this was called last."""
    lines = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == "exchange"]
