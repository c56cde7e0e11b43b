"""Tokens in a search: the keys that one may be stored under, and the same question asked of a body.

Case counts for identifiers (http://hl7.org/fhir/R4/datatypes.html#Identifier) and for codes of systems that
say so; strings, contact points and every other code are found in any case
(http://hl7.org/fhir/R4/search.html#token).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hub import r4
from hub.store.search.values import parts_of_token

_EXACT = frozenset({"Identifier", "code", "boolean", "id", "uri", "canonical"})
_CODED = frozenset({"Coding", "CodeableConcept", "code"})
_FOLDED = frozenset({"string", "markdown", "ContactPoint"})
_EVERY = _EXACT | _CODED | _FOLDED
_CONTACTS = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})
"""The systems of a ContactPoint, which is asked by its use as well."""


def token_keys(parameter: r4.SearchParameter | None, value: str) -> list[int]:
    """The keys of `code`, `system|code`, `|code`, `system|`. Raises BadValue.

    No parameter: the part of a composite, which may be of any type.
    """
    system, code = parts_of_token(value)
    if code is None:
        return [r4.hash_token(system, None)]
    kinds = _kinds(parameter)
    found = []
    if system is None:
        if kinds & (_EXACT | _CODED):
            found.append(r4.hash_token(None, code))
        if kinds & _FOLDED or _in_any_case(parameter, kinds):
            found.append(r4.hash_any_case(code))
    else:
        if kinds & _EXACT:
            found.append(r4.hash_token(system, code))
        if kinds & _CODED:
            found.append(r4.hash_coded(system, code))
        if kinds & _FOLDED:
            found.append(r4.hash_token(system, r4.any_case(code)))
    return list(dict.fromkeys(found))


def _kinds(parameter: r4.SearchParameter | None) -> frozenset[str]:
    """The types of what a parameter finds; those of a posted one are not known."""
    if parameter is None or not parameter.plan or parameter.type != "token":
        return _EVERY
    return frozenset(kind for _, kind, _ in parameter.plan)


def _in_any_case(parameter: r4.SearchParameter | None, kinds: frozenset[str]) -> bool:
    """Whether a code without a system may be one whose case does not count."""
    if kinds & (_CODED - {"code"}) or parameter is None or not parameter.plan:
        return True
    return "code" in kinds and any(not _counts(valueset) for _, _, valueset in parameter.plan)


def _counts(valueset: str) -> bool:
    """Whether the case of every code of a value set counts; of one that is not known it does."""
    found = r4.code_systems(valueset)
    return all(map(r4.case_counts, {found} if isinstance(found, str) else found.values()) if found else ())


Test = Callable[[str | None, str, bool], bool]
"""Of a stored token: its system (None: implied), its code, and whether it is found in any case."""


def token_test(value: str) -> Test:
    """Whether a stored token is the one that is asked for."""
    system, code = parts_of_token(value)
    folded = r4.any_case(code or "")

    def test(its_system: str | None, its_code: str, any_case: bool) -> bool:
        if system is not None and its_system is not None and its_system != system:
            return False
        return code is None or its_code == code or (any_case and r4.any_case(its_code) == folded)

    return test


def tokens_in(
    node: Any, parameter: r4.SearchParameter | None = None
) -> Iterator[tuple[str | None, str, bool]]:
    """Every token of what a parameter finds, as a Test takes it."""
    kinds = _kinds(parameter)
    plain = bool(kinds & _FOLDED) or _in_any_case(parameter, kinds)
    yield from _tokens(node, plain)


def _tokens(node: Any, plain: bool) -> Iterator[tuple[str | None, str, bool]]:
    if isinstance(node, bool):
        yield None, "true" if node else "false", False
    elif isinstance(node, str):
        yield None, node, plain
    elif isinstance(node, list):
        for one in node:
            yield from _tokens(one, plain)
    elif isinstance(node, dict):
        if "coding" in node:
            yield from _tokens(node["coding"], plain)
            return
        system = node.get("system", "")
        if system in _CONTACTS:
            yield None, node.get("value") or "", True
        elif "value" in node:
            yield system, node["value"], False
        else:
            yield system, node.get("code") or "", not r4.case_counts(system)
