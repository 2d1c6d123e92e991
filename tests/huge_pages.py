"""What the machine that tests run on has of huge pages."""

import platform
import re
from pathlib import Path

__all__ = ["GIVEN"]


def _given() -> str:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or [int(number) for number in re.findall(r"\d+", platform.release())[:2]] < [6, 1]:
        return "never"
    return re.findall(r"\[(\w+)\]", setting.read_text())[0]


GIVEN = _given()
"""To whom Linux gives them: `always` to all, `madvise` to those who ask, `never` to nobody, be it that it cannot."""
