"""SQLAlchemy clauses, compiled once for each database to positional SQL.

SQLAlchemy writes the text; sqlite3 and asyncpg run it. A `Statement` takes its arguments in the order of
`names`, or, without them, in the order in which its bind parameters first appear; a value that is part of
the clause (`table.c.x == 0`) becomes a literal of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Table, bindparam, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.selectable import SelectBase

from hub.store.schema import Body

_SQLITE: Dialect = sqlite.dialect(paramstyle="named")
_POSTGRES: Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
Clause = ClauseElement
_BIND = re.compile(r"(?<![:\w]):(\w+)")
_LIST = re.compile(r"__\[POSTCOMPILE_(\w+)[^\]]*\]")


class Statement:
    """One clause, compiled once for each database: `?1` for SQLite, `$1` for PostgreSQL."""

    def __init__(self, clause: Clause, names: Sequence[str] = (), *, postgres: str = "") -> None:
        self._clause = clause.inline() if isinstance(clause, Insert) and not clause._returning else clause
        self._names = tuple(names)
        self._own_postgres = postgres

    @cached_property
    def sqlite(self) -> str:
        """The text for sqlite3."""
        return self._text(_SQLITE, "?")

    @cached_property
    def postgres(self) -> str:
        """The text for asyncpg."""
        return self._own_postgres or self._text(_POSTGRES, "$")

    @cached_property
    def bodies(self) -> tuple[int, ...]:
        """Which columns of its rows are bodies (`hub.store.schema.Body`)."""
        if not isinstance(self._clause, SelectBase):
            return ()
        return tuple(i for i, one in enumerate(self._clause.selected_columns) if one.type is Body)

    def _text(self, dialect: Dialect, mark: str) -> str:
        compiled: Any = self._clause.compile(dialect=dialect)
        names = list(self._names)

        def place(match: re.Match[str]) -> str:
            name = match[1]
            bind = compiled.binds.get(name)
            if bind is None:
                return match[0]
            if not bind.required:
                return str(compiled.render_literal_value(bind.effective_value, bind.type))
            if name not in names:
                names.append(name)
            return f"{mark}{names.index(name) + 1}"

        def spread(match: re.Match[str]) -> str:
            bind = compiled.binds[match[1]]
            kind = bind.type
            return ", ".join(
                str(compiled.render_literal_value(value, kind)) for value in bind.effective_value
            )

        return _BIND.sub(place, _LIST.sub(spread, str(compiled)))


def statement(clause: Clause, names: Sequence[str] = (), *, postgres: str = "") -> Statement:
    """`clause` as a Statement; `names` orders its arguments, `postgres` replaces its text there (and has the
    columns of `clause`, if that is a SELECT)."""
    return Statement(clause, names, postgres=postgres)


def insert_into(table: Table, *, leave_out: Iterable[str] = ()) -> Statement:
    """INSERT with one argument per column, in the table's order."""
    names = [column.name for column in table.columns if column.name not in set(leave_out)]
    return Statement(insert(table).values({name: bindparam(name) for name in names}), names)
