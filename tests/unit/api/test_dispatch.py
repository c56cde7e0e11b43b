"""Paths find their row segment by segment."""

from __future__ import annotations

import pytest

from hub.api.dispatch import Dispatch

TABLE = {
    "/metadata": "capabilities",
    "/{type}": "type",
    "/{type}/{id}": "instance",
    "/{type}/_history": "history",
    "/{type}/${name}": "operation",
    "/{type}/{id}/_history/{version}": "version",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata", ("capabilities", {})),
        ("Patient", ("type", {"type": "Patient"})),
        ("Patient/1", ("instance", {"type": "Patient", "id": "1"})),
        ("Patient/_history", ("history", {"type": "Patient"})),
        ("Patient/$x", ("operation", {"type": "Patient", "name": "x"})),
        ("Patient/1/_history/2", ("version", {"type": "Patient", "id": "1", "version": "2"})),
        ("Patient/1/_history", None),
        ("Patient//_history/2", None),
        ("Patient/1/x", None),
        ("", None),
        ("Patient/", None),
    ],
)
def test_literals_go_before_dollars_and_those_before_names(
    path: str, expected: tuple[str, dict[str, str]] | None
) -> None:
    assert Dispatch(TABLE).find(path.split("/")) == expected


def test_one_place_has_one_name() -> None:
    with pytest.raises(ValueError, match="called"):
        Dispatch({"/{type}": 1, "/{kind}/x": 2})
