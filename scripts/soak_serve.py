"""`claude-proxy` as it is, each process of which writes its asyncio tasks into the folder SOAK_TASKS at each SIGUSR1.

No metric counts tasks, and Python shows them from outside only since 3.14.
"""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

from addon.commands.cli import main


def write_tasks(_number: int, _frame: object) -> None:
    """Write how many tasks have which name; names that differ in numbers only count as one."""
    path = Path(os.environ["SOAK_TASKS"]) / str(os.getpid())
    names = (re.sub(r"req_\w+|\d+", "#", task.get_name()) for task in asyncio.all_tasks())
    part = path.with_suffix(".part")
    part.write_text(json.dumps(Counter(names)))
    part.rename(path)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, write_tasks)
    main()
