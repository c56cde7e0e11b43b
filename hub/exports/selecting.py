"""Which resources of a type an export takes: by time, by compartment, by search."""

from __future__ import annotations

from collections.abc import Sequence

from hub import r4
from hub.exports import members
from hub.exports.asked import Asked, Criteria
from hub.store import asof
from hub.store.asof import Then
from hub.store.exports import Row
from hub.store.keys import Packed, looked_at
from hub.store.search.candidates import Found, filled
from hub.store.search.conditions import Batched, Checked, Condition, Ids
from hub.store.search.criteria import conditions_of
from hub.store.search.including import references
from hub.store.search.planner import parse_query, search_found
from hub.store.store import Store


class Selection:
    """One export's. `open` before anything else.

    Compartments and searches are judged on each resource as it was; what a search asks of other resources
    (chains, `_has`), and terminology, is looked up as it is now.
    """

    def __init__(self, store: Store, row: Row, asked: Asked) -> None:
        self._store, self._row, self._asked = store, row, asked
        self._patients: frozenset[str] | None = frozenset(asked.patients) or None
        self._keys: frozenset[int] = frozenset()
        self._type = ""
        self._params: frozenset[int] = frozenset()
        self._searches: list[list[Condition]] = []

    async def open(self) -> None:
        """Learn whose data is asked for."""
        if self._asked.level == "Group":
            found = await members.patients_of(
                self._store, self._asked.group, moment=self._row.moment, sequence=self._row.sequence
            )
            chosen = found or frozenset()
            self._patients = chosen & self._patients if self._patients is not None else chosen
        self._keys = frozenset(r4.hash_reference(f"Patient/{id}") for id in self._patients or ())

    async def of(self, type_name: str) -> None:
        """Go on with this type."""
        if type_name == self._type:
            return
        self._type = type_name
        codes = r4.COMPARTMENTS["Patient"].get(type_name, ())
        found = (r4.search_parameter(type_name, code) for code in codes)
        self._params = frozenset(one.number for one in found if one is not None)
        self._searches = [
            made
            for criteria in self._asked.filters.get(type_name, ())
            if (made := await self._conditions(type_name, criteria)) is not None
        ]

    async def _conditions(self, type_name: str, criteria: Criteria) -> list[Condition] | None:
        query = parse_query(type_name, criteria, known=self._store.known)
        return await conditions_of(self._store, query, search_found)

    def likely(self, some: Sequence[Then]) -> list[Then]:
        """Those of the current type that may be taken, judged without their bodies."""
        since = self._asked.since
        kept = [one for one in some if one.updated >= since and (since or not one.deleted)]
        return [one for one in kept if not one.found.keys or self._may_belong(one.found)]

    def _may_belong(self, one: Found) -> bool:
        if self._patients is None:
            return True
        if self._type == "Patient":
            return one.id in self._patients
        equal = looked_at(one.keys).equal
        return any(param in self._params and key in self._keys for param, key in equal)

    async def taken(self, some: Sequence[Then]) -> list[Then]:
        """Those to export, their bodies fetched."""
        found = [one.found for one in some]
        await filled(self._store, found)
        if self._asked.level == "system" and not self._asked.filters.get(self._type):
            return list(some)
        asof.keyed(found, self._type, self._store.known, self._store)
        good = await self._chosen([one for one in found if self._belongs(one)])
        return [one for one in some if one.found.pid in good]

    def _belongs(self, one: Found) -> bool:
        """Whether it is in the compartment of one of the patients."""
        if self._asked.level == "system":
            return True
        if self._type == "Patient":
            return self._patients is None or one.id in self._patients
        rows = looked_at(one.keys)
        return any(
            type_name == "Patient"
            and (self._patients is None or id in self._patients)
            and self._leads(rows, id)
            for type_name, id in references(self._store, one.body)
        )

    def _leads(self, rows: Packed, patient: str) -> bool:
        key = r4.hash_reference(f"Patient/{patient}")
        return any((param, key) in rows.equal for param in self._params)

    async def _chosen(self, found: list[Found]) -> set[int]:
        """The numbers of those that one of the searches finds; of all where none is asked."""
        if not self._asked.filters.get(self._type):
            return {one.pid for one in found}
        good: set[int] = set()
        for conditions in self._searches:
            left = [one for one in found if one.pid not in good]
            good |= {one.pid for one in await self._meeting(conditions, left)}
        return good

    async def _meeting(self, conditions: Sequence[Condition], found: list[Found]) -> list[Found]:
        """Those that satisfy every condition, what is asked of other resources last."""
        kept = []
        for one in found:
            rows = looked_at(one.keys)
            if all(condition.match(rows, one.updated) for condition in conditions) and all(
                condition.holds(one, rows) for condition in conditions if isinstance(condition, Checked | Ids)
            ):
                kept.append(one)
        for condition in conditions:
            if isinstance(condition, Batched) and kept:
                passed = await condition.test(self._store, kept)
                kept = [one for one, yes in zip(kept, passed, strict=True) if yes]
        return kept
