"""What generated code leaves out: values nobody reads, unless making them does something."""

from __future__ import annotations

import pytest

from hub.mapping.idle import without_idle


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("l_1 = S_PID.first(3, 1)", False),
        ("l_1 = (S_RXE.nodes(2) or S_RXO.nodes(1))[:1]", False),
        ("l_1 = R.context.system", False),
        ("l_1 = (f1(t1, R) if (t1 := S_PID.first(7)) is not None else None)", True),
        ("l_1 = (R.refuse('no') if True else None)", True),
        ("l_1 = x1.items(S, E)", True),
    ],
)
def test_what_is_never_read_goes_unless_it_acts(line: str, stays: bool) -> None:
    assert without_idle([line, "return None"], set()) == ([line] if stays else []) + ["return None"]


def test_what_only_idle_values_read_goes_too() -> None:
    lines = ["l_1 = S_PID.first(1)", "l_2 = l_1", "l_3 = S_PID.first(3)", "v_4 = l_3"]
    assert without_idle(lines, set()) == ["l_3 = S_PID.first(3)", "v_4 = l_3"]


def test_the_engine_is_told_what_it_asks_for() -> None:
    lines = [
        "    l_1 = E['a'] = S.of('PID')",
        "    l_2 = E['b'] = S.of('PV1')",
        "    E['c'] = [] if l_2 is None else [l_2]",
        "    outer_i = E.get('index')",
        "    v = l_2",
    ]
    assert without_idle(lines, {"a"}) == [
        "    l_1 = E['a'] = S.of('PID')",
        "    l_2 = S.of('PV1')",
        "    pass",
        "    v = l_2",
    ]
    assert without_idle(lines, {"a", "b", "c", "index"}) == lines
