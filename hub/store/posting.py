"""A SearchParameter that is stored: whether it can be one, and which rows of ours follow from it.

http://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

import msgspec

from hub import r4
from hub.errors import Issue, RuleBroken
from hub.store import posted
from hub.store.backend import Tx
from hub.store.extracting import environment, expression_of
from hub.store.names import TYPE_NUMBER
from hub.store.posted import RETIRING, Line

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_EVERY = ("Resource", "DomainResource")


class Wanted(msgspec.Struct, frozen=True):
    """What a SearchParameter asks for, for each of its types."""

    types: tuple[str, ...]
    code: str
    url: str
    kind: str
    expression: str
    targets: str
    sounds: bool

    def line(self, type_name: str, resource: str, number: int) -> Line:
        """The row that starts its fill."""
        return Line(
            number, TYPE_NUMBER[type_name], self.code, resource, self.url, self.kind, self.expression,
            self.targets, self.sounds,
        )  # fmt: skip


async def take(tx: Tx, resource: str, body: bytes) -> bool:
    """Let our rows follow the SearchParameter `resource` (its body, empty once it is deleted).

    Whether anything changed. Raises RuleBroken (422), saying what is wrong with it.
    """
    wanted = read(r4.tree(body)) if body else None
    before = [one for one in await posted.of_resource(tx, resource) if one.live]
    if wanted is None and not before:
        return False
    await posted.lock(tx)
    number = await posted.next_number(tx)
    kept: set[int] = set()
    changed: list[Line] = []
    for name in wanted.types if wanted is not None else ():
        assert wanted is not None
        there = await posted.named(tx, name, wanted.code)
        if there is not None and there.live and there.resource != resource:
            raise _refused("code", _TAKEN.format(name, wanted.code, there.resource))
        line = wanted.line(name, resource, there.number if there is not None else number)
        kept.add(line.number)
        if there is None:
            if number > posted.LAST_NUMBER:
                raise _refused("base", "every number that the index has for search parameters is given out")
            await posted.add(tx, line)
            number += 1
        elif there.live and _same(there, line):
            continue
        changed.append(line)
    changed += [
        msgspec.structs.replace(one, state=RETIRING, progress="", done=0, goal=0)
        for one in before
        if one.number not in kept
    ]
    await posted.keep(tx, changed)
    return bool(changed)


_TAKEN = "{} has a search parameter {} already, from SearchParameter/{}; change that one or use another code"


def _same(there: Line, line: Line) -> bool:
    """Whether what is indexed stays as it is, so that nothing need be filled again."""
    return (there.url, there.parameter()) == (line.url, line.parameter())


def read(tree: dict[str, Any]) -> Wanted | None:
    """What a SearchParameter asks for; None for one that is not active, or that R4 itself defines.

    Raises RuleBroken naming the element.
    """
    if tree.get("status") != "active":
        return None
    code, url = str(tree.get("code", "")), str(tree.get("url", ""))
    if not _CODE.fullmatch(code):
        raise _refused("code", "expected a letter, then letters, digits, - or _, 64 at most")
    kind = tree.get("type")
    types = _types(tree, code, url)
    if not types:
        return None
    if kind not in r4.LOOSE_TYPES:
        known = ", ".join(sorted(r4.LOOSE_TYPES))
        raise _refused("type", f"this hub indexes posted search parameters of the types {known}; not {kind}")
    expression = str(tree.get("expression", ""))
    if not expression:
        raise _refused("expression", "an active search parameter needs a FHIRPath expression")
    _try(expression, types)
    targets = ",".join(t for t in tree.get("target", ()) if t in r4.TYPES)
    return Wanted(types, code, url, kind, expression, targets, tree.get("xpathUsage") == "phonetic")


def _types(tree: dict[str, Any], code: str, url: str) -> tuple[str, ...]:
    """The types it is new for. R4's own definition, or one derived from it, changes nothing for its types."""
    bases = tree.get("base", [])
    wanted = r4.TYPES if any(one in _EVERY for one in bases) else bases
    found = []
    for name in wanted:
        if name not in r4.TYPES:
            raise _refused("base", f"{str(name)[:64]} is not a resource type of FHIR R4")
        standard = r4.search_parameter(name, code)
        if standard is None:
            found.append(name)
        elif standard.url not in (url, str(tree.get("derivedFrom", "")).partition("|")[0]):
            raise _refused(
                "code",
                f"{name} has the search parameter {code} of R4 ({standard.url}); use another code, or name "
                "that definition in derivedFrom",
            )
    return tuple(found)


def _try(expression: str, types: tuple[str, ...]) -> None:
    """Compile it, see that it fits each type, and run it on an empty resource: a member or a function that is
    not there shows now. A branch for another type of the union is none of this one's business."""
    from hub.fhirpath import EvaluationError, InvalidExpression  # loaded when one is posted
    from hub.fhirpath.checking import check

    try:
        compiled = expression_of(expression)
        for name in types:
            for problem in check(expression, name):
                if problem.rpartition(" has no member ")[2] not in r4.TYPES:
                    raise _refused("expression", problem)
            tree = {"resourceType": name}
            compiled(tree, environment(tree, UTC))
    except (InvalidExpression, EvaluationError) as error:
        raise _refused("expression", str(error)) from None


def _refused(element: str, text: str) -> RuleBroken:
    place = f"SearchParameter.{element}"
    return RuleBroken(issues=[Issue(code="business-rule", diagnostics=f"{place}: {text}", expression=place)])
