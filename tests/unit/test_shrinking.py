"""Bodies come back from the disk byte for byte."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, select

from hub.store import shrinking
from hub.store.schema import Body
from hub.store.statements import statement

NAME = {"family": "Ruan", "given": ["Xiaoyue"], "text": "Ruan Xiaoyue"}
PATIENT = json.dumps(
    {"resourceType": "Patient", "id": "p1", "name": [NAME], "gender": "female", "birthDate": "1970-05-17"}
).encode()
DIGEST = "6ca6762661dad07eb9df496d4c3c47a81baf7ff3d698ec08e88531237d8f647a"


@given(some.binary(max_size=2000))
def test_every_body_comes_back(body: bytes) -> None:
    if body[:1] != b"\x01":  # no JSON text begins so
        assert shrinking.grown(shrinking.shrunk(body)) == body


def test_fhir_takes_less_room() -> None:
    assert len(shrinking.shrunk(PATIENT * 2)) < len(PATIENT)
    assert shrinking.shrunk(b"{}") == b"{}"
    assert shrinking.shrunk(b"") == b""


def test_the_dictionary_is_the_one_that_bodies_on_disk_were_made_with() -> None:
    assert sha256(shrinking._DICTIONARY).hexdigest() == DIGEST


def test_statements_shrink_and_grow_on_sqlite_only() -> None:
    table = Table("kept", MetaData(), Column("id", Integer, primary_key=True), Column("body", Body))
    put = statement(insert(table).values(id=bindparam("id"), body=bindparam("body")), ["id", "body"])
    get = statement(select(table.c.body).where(table.c.id == bindparam("id")))
    inner = statement(select(select(table).subquery("s").c.body))
    connection = sqlite3.connect(":memory:")
    shrinking.offer(connection)
    connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, body BLOB)")
    connection.execute(put.sqlite, (1, PATIENT))
    ((kept,),) = connection.execute("SELECT body FROM kept").fetchall()
    assert len(kept) < len(PATIENT)
    assert connection.execute(get.sqlite, (1,)).fetchall() == [(PATIENT,)]
    assert connection.execute(inner.sqlite).fetchall() == [(PATIENT,)]
    assert "grown" not in get.postgres
    assert "shrunk" not in put.postgres
