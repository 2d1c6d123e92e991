"""Objects listed by the time of their making, over the days that they are kept."""

import time

import pytest

from addon.storage.listed_records import ListedRecords
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore

DAY = 24 * 3600
NOW = int(time.time())


@pytest.fixture
async def store():
    made = SqliteStore(IN_MEMORY, 30 * DAY, 10_000_000)
    yield made
    await made.close()


@pytest.fixture
async def forgetful_store():
    made = SqliteStore(IN_MEMORY, 60, 10_000_000)
    yield made
    await made.close()


def records_of(store, owner="one"):
    return ListedRecords(store, owner, "completion", "completions")


@pytest.fixture
async def records(store):
    """Two of ten days ago, one of yesterday, two of now."""
    made = records_of(store)
    for name, created in [("a", NOW - 10 * DAY), ("b", NOW - 10 * DAY), ("c", NOW - DAY), ("d", NOW - 0.5), ("e", NOW)]:
        await made.add({"id": name, "created_at": created})
    return made


def anything(_):
    return True


async def ids_of(records, limit=20, order="asc", after=None, wanted=anything):
    found, has_more = await records.page(limit, order, after, wanted)
    return "".join(record["id"] for record in found), has_more


@pytest.mark.parametrize(("order", "expected"), [("asc", "abcde"), ("desc", "edcba")])
async def test_every_object_is_listed_once_in_the_order_asked(records, order, expected):
    assert await ids_of(records, order=order) == (expected, False)


@pytest.mark.parametrize(("order", "expected"), [("asc", "abcde"), ("desc", "edcba")])
@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_pages_follow_each_other_without_gap_or_repetition(records, order, expected, limit):
    seen, after, has_more = "", None, True
    while has_more:
        page, has_more = await ids_of(records, limit, order, after)
        assert len(page) == limit or not has_more
        seen += page
        after = await records.load(page[-1])
    assert seen == expected


@pytest.mark.parametrize(
    ("order", "after", "expected"), [("asc", "b", "cde"), ("desc", "e", "dcba"), ("desc", "c", "ba")]
)
async def test_a_page_follows_an_object_that_was_deleted_since(records, order, after, expected):
    last = await records.load(after)
    await records.delete(last)
    assert await ids_of(records, order=order, after=last) == (expected, False)


async def test_only_wanted_objects_count_for_the_page(records):
    assert await ids_of(records, 2, wanted=lambda record: record["id"] in "bde") == ("bd", True)
    assert await ids_of(records, 3, wanted=lambda record: record["id"] in "bde") == ("bde", False)


async def test_more_than_are_loaded_at_once_are_listed(store):
    records = records_of(store)
    for number in range(120):
        await records.add({"id": f"{number:03},", "created_at": NOW})
    page, has_more = await ids_of(records, 100)
    assert page == "".join(f"{number:03}," for number in range(100))
    assert has_more


async def test_what_is_deleted_or_forgotten_is_not_listed(records):
    await records.delete(await records.load("b"))
    await records.save({"id": "d", "created_at": NOW, "note": "changed"})
    await records.add({"id": "f", "created_at": NOW}, seconds_to_live=-1)
    assert await ids_of(records) == ("acde", False)
    assert await records.load("b") is None
    assert (await records.load("d"))["note"] == "changed"


async def test_nothing_of_one_client_is_found_by_another(records, store):
    other = records_of(store, "two")
    assert await ids_of(other) == ("", False)
    assert await other.load("a") is None


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_lists_go_back_to_objects_that_are_older_than_any_unused_one(store, order):
    records = records_of(store)
    for name, created in [("z", NOW - 300 * DAY), ("y", NOW - 31 * DAY), ("x", NOW)]:
        await records.add({"id": name, "created_at": created})
    assert await ids_of(records, order=order) == ("zyx" if order == "asc" else "xyz", False)
    assert await ids_of(records, order=order, after=await records.load("y")) == ("x" if order == "asc" else "z", False)


async def _save(records, record):
    await records.save(record)


async def _put(records, record):
    await records.put(record)


async def _put_for_a_time(records, record):
    await records.put(record, 60)


async def _renew(records, record):
    await records.store.renew(records.keys_of(record))


@pytest.mark.parametrize("keep", [_save, _put, _put_for_a_time, _renew])
async def test_an_object_is_listed_for_as_long_as_it_is_kept(forgetful_store, keep, jump):
    records, record = records_of(forgetful_store), {"id": "a", "created_at": NOW}
    await records.add(record)
    jump(40)
    await keep(records, record)
    jump(40)
    assert await records.load("a") == record
    assert await ids_of(records) == ("a", False)
    jump(40)
    assert await ids_of(records) == ("", False)


async def test_an_object_that_is_put_twice_is_listed_once(store):
    records = records_of(store)
    for state in ("first", "second"):
        await records.put({"id": "x", "created_at": NOW, "state": state})
    listed, _ = await records.page(10, "desc", None, lambda _: True)
    assert listed == [{"id": "x", "created_at": NOW, "state": "second"}]
