"""What an error that is over still holds."""

import gc
import weakref

import pytest

from addon.claude.error_frames import let_frames_go


class Held:
    """Something in a frame."""


def raise_held(refs: list[weakref.ref[Held]]) -> None:
    held = Held()
    refs.append(weakref.ref(held))
    failure = ValueError("this frame has a name for it")
    raise failure


def test_what_was_in_the_frames_goes_with_the_error_without_the_garbage_collector() -> None:
    refs: list[weakref.ref[Held]] = []

    def fail() -> None:
        try:
            raise_held(refs)
        except ValueError:
            try:
                raise_held(refs)
            except ValueError as error:
                raise RuntimeError from error

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(RuntimeError) as failure:
            fail()
        assert [ref() is None for ref in refs] == [False, False]
        let_frames_go(failure.value)
        del failure
        assert [ref() is None for ref in refs] == [True, True]
    finally:
        gc.enable()


def test_errors_that_are_each_others_cause_come_to_an_end() -> None:
    one, other = RuntimeError(), ValueError()
    one.__cause__, other.__context__ = other, one
    let_frames_go(one)
