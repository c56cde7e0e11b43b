"""What is kept of terminology, and for how long."""

from __future__ import annotations

from hub.api.vocabulary import Kept


def test_the_last_used_values_are_kept_by_weight() -> None:
    kept: Kept[str] = Kept(5, len)
    for word in ("ab", "cd"):
        kept.keep(word, word, kept.age)
    assert kept.get("ab") == "ab"
    kept.keep("ef", "ef", kept.age)
    assert (kept.get("ab"), kept.get("cd"), kept.get("ef")) == ("ab", None, "ef")
    kept.keep("large", "larger than all", kept.age)
    assert kept.get("large") == "larger than all" and kept.get("ab") is None


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    kept: Kept[str] = Kept(5, len)
    age = kept.age
    kept.clear()
    assert kept.keep("a", "old", age) == "old"
    assert kept.get("a") is None
