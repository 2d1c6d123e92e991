"""Which processes of `claude-proxy serve` have their heap in huge pages."""

from pathlib import Path

import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.huge_pages import GIVEN
from tests.integration.serving_process import serving_process

pytestmark = pytest.mark.skipif(GIVEN != "madvise", reason="this machine gives huge pages to all or to nobody")


def huge_bytes(process: int) -> int:
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("AnonHugePages:"))


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_process_that_answers_has_them_and_only_those(
    simulation: RunningSimulation, tmp_path: Path, workers: int
) -> None:
    async with serving_process(simulation.base_url, tmp_path, "--workers", str(workers)) as proxy:
        answering, others = ([proxy.process.pid], []) if workers == 1 else (proxy.workers(), [proxy.process.pid])
        assert len(answering) == workers
        assert min(map(huge_bytes, answering)) >= 64 * 2**20  # 56 without the room that is taken first
        assert list(map(huge_bytes, others)) == [0] * len(others)


async def test_none_has_them_where_they_are_not_wanted(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with serving_process(simulation.base_url, tmp_path, CLAUDE_PROXY_HUGE_PAGES="false") as proxy:
        assert huge_bytes(proxy.process.pid) == 0
