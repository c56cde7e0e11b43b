"""Where a FHIRPath leads inside a resource, as places that can be written to.

A place is one element: the JSON object that holds it, the member, the index in a list. A primitive is a pair
of its value and the object beside it (`_birthDate`), and both move together
(http://hl7.org/fhir/R4/json.html#primitive).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub import fhirpath, r4
from hub.api.patching.refusals import impossible, malformed
from hub.fhirpath import ast
from hub.fhirpath.nodes import Element
from hub.fhirpath.types import is_a, types

BUDGET = 100_000
"""Steps that one path may take."""

Pair = tuple[Any, Any]
"""The value of an element, and what stands beside a primitive one; either may be None."""


class Place:
    """One element of the resource. `owner` is the object that holds it (None: the resource itself)."""

    __slots__ = ("index", "key", "owner", "parent", "type")

    def __init__(
        self,
        type_name: str,
        owner: dict[str, Any],
        key: str = "",
        index: int | None = None,
        parent: Place | None = None,
    ) -> None:
        self.type = type_name
        self.owner = owner
        self.key = key
        self.index = index
        self.parent = parent

    @property
    def pair(self) -> Pair:
        """The value and what stands beside it."""
        if not self.key:
            return self.owner, None
        return pairs(self.owner, self.key)[self.index or 0]

    def write(self, pair: Pair | None) -> None:
        """Put another value here; None takes the element away, and what is empty without it."""
        found = pairs(self.owner, self.key)
        found[self.index or 0 : (self.index or 0) + 1] = [] if pair is None else [pair]
        write_pairs(self.owner, self.key, found, many=self.index is not None)
        if pair is None:
            self._prune()

    def _prune(self) -> None:
        if self.owner or self.parent is None or not self.parent.key:
            return
        value, _ = self.parent.pair
        left = (value, None) if value is not self.owner and value is not None else None
        self.parent.write(left)

    def element(self) -> Element:
        """The same for FHIRPath."""
        value, beside = self.pair
        return Element(value, self.type, beside)

    def children(self, name: str) -> list[Place]:
        """The elements of that name below this one; the name of a choice goes without its type."""
        value, beside = self.pair
        owner = value if isinstance(value, dict) else beside
        if not isinstance(owner, dict):
            return []
        inner = self.type if isinstance(value, dict) else "Element"
        key, kind = self._member(owner, inner, name)
        many = isinstance(owner.get(key, owner.get("_" + key)), list)
        return [
            Place(_kind(one[0], kind), owner, key, index if many else None, self)
            for index, one in enumerate(pairs(owner, key))
        ]

    def _member(self, owner: dict[str, Any], inner: str, name: str) -> tuple[str, str]:
        choices = types().choices(inner, name)
        if choices is not None:
            for key, kind in choices.items():
                if key in owner or "_" + key in owner:
                    return key, kind
            return name, ""
        element = r4.members(inner).get(name)
        if element is not None:
            return name, element.types[0]
        stated = stated_choice(inner, name)
        if stated is None and name != "resourceType":
            raise impossible(f"{inner} has no element {name[:64]}")
        return name, stated or "code"


def _kind(value: Any, declared: str) -> str:
    if isinstance(value, dict) and isinstance(value.get("resourceType"), str):
        return str(value["resourceType"])
    return "string" if declared.startswith("http://hl7.org/fhirpath/") else declared


def stated_choice(owner: str, key: str) -> str | None:
    """The type that a JSON name such as `valueQuantity` states, or None."""
    for name, element in r4.members(owner).items():
        if element.choice and key.startswith(name):
            found = (types().choices(owner, name) or {}).get(key)
            if found is not None:
                return found
    return None


def pairs(owner: dict[str, Any], key: str) -> list[Pair]:
    """Every element of a member, in order; a single one is a list of one."""
    value, beside = owner.get(key), owner.get("_" + key)
    if not isinstance(value, list) and not isinstance(beside, list):
        return [] if value is None and beside is None else [(value, beside)]
    values = value if isinstance(value, list) else []
    others = beside if isinstance(beside, list) else []
    longest = max(len(values), len(others))
    return list(
        zip(values + [None] * (longest - len(values)), others + [None] * (longest - len(others)), strict=True)
    )


def write_pairs(owner: dict[str, Any], key: str, found: list[Pair], *, many: bool) -> None:
    """Store the elements of a member; without any, the member goes."""
    values, others = [one[0] for one in found], [one[1] for one in found]
    for name, column in ((key, values), ("_" + key, others)):
        if all(one is None for one in column):
            owner.pop(name, None)
        else:
            owner[name] = column if many else column[0]


def find(root: dict[str, Any], path: str, place: str) -> list[Place]:
    """The places a path selects. `place` names the operation in errors: 400 for what is no FHIRPath."""
    return _Finder(root, place).find(parse(path, place))


def parse(path: str, place: str) -> ast.Node:
    """The syntax tree of a path."""
    try:
        fhirpath.compile(path, budget=BUDGET)
        return fhirpath.parse(path)
    except fhirpath.InvalidExpression as error:
        raise malformed("the path is not FHIRPath", place) from error


class _Finder:
    """Walks the spine of a path itself; criteria and indexes are left to the engine."""

    def __init__(self, root: dict[str, Any], place: str) -> None:
        self._root = Place(str(root.get("resourceType", "")), root)
        self._place = place

    def find(self, node: ast.Node | None) -> list[Place]:
        match node:
            case None | ast.This(name="this") | ast.Variable(name="resource" | "context"):
                return [self._root]
            case ast.Member(target=None, name=name) if name in (
                self._root.type, "Resource", "DomainResource",
            ):  # fmt: skip
                return [self._root]
            case ast.Member():
                return [child for one in self.find(node.target) for child in one.children(node.name)]
            case ast.Index():
                found, index = self.find(node.target), self._number(node.index)
                return found[index : index + 1] if index >= 0 else []
            case ast.TypeOperation(operator="as"):
                return self._of_type(self.find(node.operand), node.type.name)
            case ast.Call():
                return self._call(node)
        raise self._unknown()

    def _call(self, node: ast.Call) -> list[Place]:
        found, name, arguments = self.find(node.target), node.name, node.arguments
        match name, len(arguments):
            case "where", 1:
                return [one for one in found if self._truth(one, arguments[0])]
            case (("ofType" | "as"), 1) if isinstance(arguments[0], ast.Member):
                return self._of_type(found, arguments[0].name)
            case "extension", 1:
                wanted = self._first(self._root, arguments[0])
                below = [child for one in found for child in one.children("extension")]
                return [one for one in below if one.pair[0].get("url") == wanted]
            case "skip", 1:
                return found[max(self._number(arguments[0]), 0) :]
            case "take", 1:
                return found[: max(self._number(arguments[0]), 0)]
        cut: Callable[[list[Place]], list[Place]] | None = _CUTS.get(name) if not arguments else None
        if cut is None or (name == "single" and len(found) > 1):
            raise self._unknown()
        return cut(found)

    def _of_type(self, found: list[Place], wanted: str) -> list[Place]:
        return [one for one in found if is_a(one.type, wanted)]

    def _truth(self, one: Place, criterion: ast.Node) -> bool:
        return self._ask(one, criterion) == [True]

    def _first(self, one: Place, node: ast.Node) -> Any:
        found = self._ask(one, node)
        return found[0] if found else None

    def _number(self, node: ast.Node) -> int:
        found = self._first(self._root, node)
        if not isinstance(found, int) or isinstance(found, bool):
            raise impossible("an index in the path is no whole number", self._place)
        return found

    def _ask(self, one: Place, node: ast.Node) -> list[Any]:
        try:
            expression = fhirpath.compile(fhirpath.unparse(node), budget=BUDGET)
            return expression(one.element(), {"resource": self._root.element()})
        except fhirpath.InvalidExpression as error:
            raise malformed("the path is not FHIRPath", self._place) from error
        except fhirpath.EvaluationError as error:
            raise impossible("the path cannot be evaluated on this resource", self._place) from error

    def _unknown(self) -> Exception:
        text = (
            "expected a path of names, [index], where(), ofType(), as, extension(), first(), last(), "
            "single(), tail(), skip() and take(), inside the resource"
        )
        return malformed(text, self._place, "not-supported")


_CUTS: dict[str, Callable[[list[Place]], list[Place]]] = {
    "first": lambda found: found[:1],
    "last": lambda found: found[-1:],
    "tail": lambda found: found[1:],
    "single": lambda found: found,
}
