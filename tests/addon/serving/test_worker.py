"""What a worker is told."""

import pickle

import pytest

from addon.configuration.settings import load_settings
from addon.serving.worker import Apply, Order, Stop, encode_order

PIECE_BYTES = 16 * 1024
"""What multiprocessing sends in one write; more may stop in the middle for a worker that hangs."""


def settings_of(size: int) -> Apply:
    """Make an order that is as many bytes as that."""

    def padded(length: int) -> Apply:
        return Apply(load_settings({"claude": {"simulate": True, "default_model": "m" * length}}))

    return padded(size - len(pickle.dumps(padded(size))) + size)


@pytest.mark.parametrize(
    ("order", "pieces"),
    [
        (Stop(1.0, 2.0), 1),
        (settings_of(PIECE_BYTES - 1), 1),
        (settings_of(PIECE_BYTES), 2),
        (settings_of(3 * PIECE_BYTES + 1), 4),
    ],
    ids=["small", "almost_a_piece", "a_piece", "many_pieces"],
)
def test_an_order_comes_in_pieces_of_which_the_last_alone_is_not_full(order: Order, pieces: int) -> None:
    encoded = encode_order(order)
    assert [len(piece) for piece in encoded[:-1]] == [PIECE_BYTES] * (pieces - 1)
    assert len(encoded[-1]) < PIECE_BYTES
    assert pickle.loads(b"".join(encoded)) == order
