"""Room for the heap in one piece, taken before anything else is imported.

Python asks Linux for its heap one MiB at a time, and each lies below whatever was mapped last. While modules are
imported, forty libraries come between. Only what lies together can be a huge page (`addon.serving.huge_pages`): two
thirds of what a start makes, and all of it if the room was there before the libraries.
"""

import sys
from collections.abc import Sequence

__all__ = ["ROOM", "take_room"]

_MEBIBYTES = 48
"""Less than a start needs, so that none of it is memory that nobody uses."""
_BLOCK_BYTES = 512
"""The largest that Python's own allocator has room for (`Objects/obmalloc.c`)."""
_BLOCKS_OF_A_MEBIBYTE = 1_950
_KEPT_EACH = 900


def take_room(mebibytes: int = _MEBIBYTES) -> Sequence[bytes]:
    """Take room and give nearly all of it back to Python, which keeps it for as long as there is what is returned."""
    # Of its whole length at once: a list that grows is moved, and what it leaves is filled by the blocks.
    blocks = [b""] * (mebibytes * _BLOCKS_OF_A_MEBIBYTE)
    for number in range(len(blocks)):
        blocks[number] = bytes(_BLOCK_BYTES - sys.getsizeof(b""))
    return blocks[::_KEPT_EACH]


ROOM = take_room() if sys.argv[1:2] == ["serve"] else ()
"""Some 100 blocks, one in each MiB at least. Other commands need little of it."""
