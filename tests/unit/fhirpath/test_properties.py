"""Laws that hold for every expression and every number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub import fhirpath
from hub.fhirpath import ast
from hub.fhirpath.parser import BINDING
from hub.fhirpath.quantity import Quantity
from hub.fhirpath.temporal import Temporal, parse_clock, parse_moment

NAMES = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(["is", "as", "in", "contains", "and", "div", "true", "day", "药 品", "a`b\\"]),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
INTEGERS = st.integers(0, 2**31 - 1)
DECIMALS = st.decimals(0, 10**12, places=4)
MOMENTS = st.sampled_from(
    ["2014", "2014-05", "2014-05-03", "2014-05-03T10:30", "2014-05-03T10:30:00.50+08:00"]
)
OPERATORS = [name for name in BINDING if name not in ("is", "as")]
LITERALS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    INTEGERS,
    DECIMALS,
    TEXTS,
    MOMENTS.map(parse_moment),
    st.sampled_from(["10", "10:30", "10:30:00.125"]).map(parse_clock),
    st.builds(Quantity, DECIMALS, st.sampled_from(["mg", "10*9/L", "'"])),
    st.builds(Quantity, DECIMALS, st.sampled_from(["day", "weeks"]), st.just(True)),
)
LEAVES: st.SearchStrategy[ast.Node] = st.one_of(
    st.builds(ast.Literal, LITERALS),
    st.just(ast.Nothing()),
    st.builds(ast.This, st.sampled_from(["this", "index", "total"])),
    st.builds(ast.Variable, NAMES),
    st.builds(ast.Member, st.none(), NAMES),
)


def grow(trees: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    types = st.builds(ast.TypeName, NAMES, st.sampled_from(["", "System", "FHIR"]))
    return st.one_of(
        st.builds(ast.Member, trees, NAMES),
        st.builds(ast.Index, trees, trees),
        st.builds(ast.Call, st.one_of(st.none(), trees), NAMES, st.lists(trees, max_size=2).map(tuple)),
        st.builds(ast.TypeOperation, st.sampled_from(["is", "as"]), trees, types),
        st.builds(ast.Unary, st.sampled_from(["-", "+"]), trees),
        st.builds(ast.Binary, st.sampled_from(OPERATORS), trees, trees),
    )


@given(st.recursive(LEAVES, grow, max_leaves=12))
def test_what_is_printed_parses_to_the_same_tree(tree: ast.Node) -> None:
    assert fhirpath.parse(fhirpath.unparse(tree)) == tree


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused_with_a_position(text: str) -> None:
    try:
        fhirpath.compile(text)
    except fhirpath.InvalidExpression as error:
        assert 0 <= error.position <= len(text)


def value(text: str, **env: Any) -> Any:
    return fhirpath.compile(text).first([], env)


@given(st.decimals(-(10**15), 10**15, places=6), st.decimals(-(10**15), 10**15, places=3))
def test_decimals_are_exact(a: Decimal, b: Decimal) -> None:
    assert value("%a + %b - %b", a=a, b=b) == a
    assert value("%a * %b = %b * %a", a=a, b=b) is True
    if b:
        assert value("(%a div %b) * %b + (%a mod %b)", a=a, b=b) in (a, None)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_integers_stay_within_32_bits_or_yield_nothing(a: int, b: int) -> None:
    total = value("%a + %b", a=a, b=b)
    assert total == a + b if -(2**31) <= a + b < 2**31 else total is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**6))
def test_a_decimal_keeps_its_digits(number: Decimal) -> None:
    text = f"{number:f}"
    assert value(f"{text}.toString()") == text
    assert value(f"'{text}'.toDecimal().toString()") == text


@given(st.dates(), st.integers(0, 4000))
def test_days_forth_and_back(day: Any, count: int) -> None:
    start = parse_moment(day.isoformat())
    assert isinstance(start, Temporal)
    moved = value(f"{start.literal} + {count} days")
    if moved is not None:
        assert value(f"@{moved} - {count} days") == day.isoformat()


@given(st.lists(st.one_of(st.integers(0, 5), st.sampled_from("abc"), st.booleans()), max_size=8))
def test_distinct_keeps_one_of_each(items: list[Any]) -> None:
    once = fhirpath.compile("%items.distinct()")([], {"items": items})
    assert len(once) == len({(type(item), item) for item in items})
    assert fhirpath.compile("%items.isDistinct()").truth([], {"items": once})
    assert fhirpath.compile("%items.subsetOf(%once)").truth([], {"items": items, "once": once})
