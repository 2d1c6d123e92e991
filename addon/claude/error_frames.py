"""What an error holds: by its traceback, every frame that it came through, and all that was in them."""

__all__ = ["let_frames_go"]


def let_frames_go(error: BaseException) -> None:
    """Take the tracebacks from an error of which everybody has been told, and from those that it was raised from.

    Where a frame has a name for an error that came through it, the two hold each other: with them whatever else is in
    those frames, an exchange and its body among it, would wait for the garbage collector.
    """
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if id(each) not in seen:  # nothing keeps exceptions from being each other's cause
            seen.add(id(each))
            each.__traceback__ = None
            left += [held for held in (each.__cause__, each.__context__) if held is not None]
