from addon.claude.thinking_memory import ThinkingMemory
from addon.storage.store import scope_of

BLOCKS = [
    {"type": "thinking", "thinking": "", "signature": "sig=="},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}},
]


def test_an_answer_is_recalled_by_each_of_its_tool_calls_as_it_was() -> None:
    memory = ThinkingMemory(10_000, 60)
    memory.remember("me", ["toolu_1", "toolu_2"], BLOCKS)
    assert memory.recall("me", "toolu_1") == memory.recall("me", "toolu_2") == tuple(BLOCKS)
    recalled = memory.recall("me", "toolu_1")
    assert recalled is not None
    assert list(recalled[1]["input"]) == ["b", "a"]


def test_nothing_of_one_client_is_recalled_for_another() -> None:
    memory = ThinkingMemory(10_000, 60)
    memory.remember(scope_of("Bearer one"), ["toolu_1"], BLOCKS)
    assert memory.recall(scope_of("Bearer two"), "toolu_1") is None
    assert memory.recall(scope_of(None), "toolu_1") is None


def test_a_recalled_answer_can_be_changed_without_changing_the_memory() -> None:
    memory = ThinkingMemory(10_000, 60)
    memory.remember("me", ["toolu_1"], BLOCKS)
    first = memory.recall("me", "toolu_1")
    assert first is not None
    first[0]["signature"] = "changed"
    assert memory.recall("me", "toolu_1") == tuple(BLOCKS)


def test_the_oldest_goes_when_the_memory_is_full_and_a_giant_is_not_kept() -> None:
    memory = ThinkingMemory(400, 60)
    for number in range(5):
        memory.remember("me", [f"toolu_{number}"], BLOCKS)
    assert memory.recall("me", "toolu_0") is None
    assert memory.recall("me", "toolu_4") == tuple(BLOCKS)
    memory.remember("me", ["giant"], [{"type": "text", "text": "x" * 500}])
    assert memory.recall("me", "giant") is None
    assert memory.recall("me", "toolu_4") == tuple(BLOCKS)
