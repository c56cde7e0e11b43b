"""Statements: one clause, positional text for both databases."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from hub.store.flow import counter
from hub.store.statements import insert_into, statement


def test_arguments_follow_the_names() -> None:
    made = statement(
        select(counter.c.value).where(counter.c.scope == bindparam("s"), counter.c.value > bindparam("v")),
        ["v", "s"],
    )
    assert made.sqlite.endswith("counter.scope = ?2 AND counter.value > ?1")
    assert "$2" in made.postgres
    assert "$1" in made.postgres


def test_constants_and_lists_become_literals() -> None:
    made = statement(select(counter.c.value).where(counter.c.scope.in_(["a", "it's"]), counter.c.value > 5))
    assert "IN ('a', 'it''s')" in made.sqlite
    assert "> 5" in made.sqlite
    assert "?" not in made.sqlite


def test_an_insert_takes_the_columns_in_order() -> None:
    assert insert_into(counter).sqlite == "INSERT INTO counter (scope, value) VALUES (?1, ?2)"
