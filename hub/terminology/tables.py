"""The hub's own concept maps, CSV files beside the mappings, as ConceptMaps.

`mappings/hl7v2/route.map.csv` is `<canonical base>/ConceptMap/hl7v2-route`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hub.terminology.maps import ConceptMap, read_map
from hub.terminology.translation import Dependency, Map, Match, Needed, coding, present, turn


def tables(folders: Iterable[Path], base: str) -> list[Map]:
    """Every concept map in the sets of these folders; a later folder overrides. Misconfigured."""
    found: dict[str, Map] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.map.csv")):
            name = f"{path.parent.name}-{path.name.removesuffix('.map.csv')}"
            url = f"{base}/ConceptMap/{name}"
            found[url] = Table(url, name, read_map(path, base=base))
    return list(found.values())


class Table:
    """A shipped concept map in a CSV file (`hub.terminology.maps`)."""

    def __init__(self, url: str, name: str, rows: ConceptMap) -> None:
        self.url = url
        self.version = ""
        self.scopes = ("", "")
        self._name = name
        self._rows = rows
        self.sources = frozenset(system for _, system, _ in rows.rows() if system)
        self.targets = frozenset(target.system for _, _, target in rows.rows() if target.system)

    def forward(self, system: str, code: str, known: Sequence[Dependency], needed: Needed) -> list[Match]:
        """See `Map`; a row without a source system is for every system."""
        target = self._rows.find(code, system)
        if target is None:
            return []
        concept = coding(target.system, "", target.code, target.display)
        return [Match(_equivalence(target.code, target.equivalence), concept, self.url)]

    def unmapped(self, system: str, code: str) -> Iterator[Match | str]:
        """See `Map`; a table says nothing of other codes."""
        return iter(())

    def backward(self, system: str, code: str) -> list[Match]:
        """See `Map`; rows that are patterns cannot be turned round."""
        return [
            Match(turn(_equivalence(target.code, target.equivalence)), coding(own, "", source, ""), self.url)
            for source, own, target in self._rows.rows()
            if target.code and target.code == code and target.system in ("", system)
        ]

    def tree(self) -> dict[str, Any]:
        """See `Map`; a group for each pair of systems, without the rows that are patterns."""
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for source, own, target in self._rows.rows():
            stated: dict[str, Any] = {"code": target.code, "display": target.display}
            stated = {name: value for name, value in stated.items() if value}
            stated["equivalence"] = _equivalence(target.code, target.equivalence)
            element = {"code": source, "target": [stated]}
            groups.setdefault((own, target.system), []).append(element)
        return {
            "resourceType": "ConceptMap",
            "url": self.url,
            "name": self._name,
            "status": "active",
            "group": [
                {**present({"source": source, "target": target}), "element": elements}
                for (source, target), elements in groups.items()
            ],
        }


def _equivalence(code: str, stated: str) -> str:
    return (stated or "equivalent") if code else "unmatched"
