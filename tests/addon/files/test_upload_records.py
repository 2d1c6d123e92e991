"""The parts of an upload, joined."""

import os
import tracemalloc

from addon.files.upload_records import UploadRecords
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore

PART = 4 << 20


async def test_parts_are_joined_in_little_more_memory_than_the_whole_takes() -> None:
    records = UploadRecords(SqliteStore(IN_MEMORY, 1000, 1 << 30), "owner")
    upload = await records.create("a.bin", "user_data", 16 * PART, None)
    parts = [await records.add_part(upload, os.urandom(PART)) for _ in range(16)]
    tracemalloc.start()
    try:
        joined = await records.join_parts(upload, parts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(joined) == 16 * PART
    assert peak < 1.5 * len(joined)
    await records.store.close()
