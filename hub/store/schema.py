"""The metadata every table of the store hangs on, and the column types both databases share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Double, Integer, LargeBinary, MetaData, SmallInteger, Text

from hub.store.shrinking import Shrunk

metadata = MetaData()

Key = BigInteger().with_variant(Integer(), "sqlite")
"""An integer key; on SQLite an INTEGER PRIMARY KEY is the row's own address."""
Micros = BigInteger()
"""Microseconds since the epoch, UTC."""
Small = SmallInteger()
Hash64 = BigInteger()
Bytes = LargeBinary()
Body = LargeBinary().with_variant(Shrunk(), "sqlite")
String = Text().with_variant(Text(collation="C"), "postgresql")
Real: Double[float] = Double()
