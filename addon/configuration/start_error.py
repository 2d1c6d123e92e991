"""Why a command of `claude-proxy` cannot start."""

from collections.abc import Sequence

__all__ = ["StartError"]


class StartError(Exception):
    """The proxy cannot start: `problems` holds one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
