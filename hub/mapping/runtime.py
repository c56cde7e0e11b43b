"""What a compiled mapping stands on while it runs: ids, codings, warnings, finished resources."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from hub.errors import InvalidMessage, Issue, Misconfigured
from hub.fhirpath import EvaluationError, Expression
from hub.mapping.hl7v2_tree import Part, atoms, position
from hub.r4.primitives import UNSAFE
from hub.terminology.identifiers import ID_CARD_SYSTEM, id_card_is_valid, is_placeholder, uscc_is_valid
from hub.terminology.maps import ConceptMap

RUN = "#run"
"""Where functions find the run in the environment; no expression can name it."""

BASE = "https://sanyi-hub.org/fhir"
"""The canonical base of our own code systems and identifiers, where no other is configured."""

encode = msgspec.json.Encoder(decimal_format="number").encode

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?", re.ASCII)

_CHOICES = re.compile(r"[,$\\]")
"""What a search value must escape (http://hl7.org/fhir/R4/search.html#escaping)."""

NULL = msgspec.Raw(b"null")
"""A null that is meant to be sent."""


class Context(msgspec.Struct, kw_only=True):
    """What a mapping knows beside its source.

    system    the channel's name: resources belong to it, ids are derived from it
    hub_key   the secret behind the ids
    zone      of times without an offset
    env       further variables: facts, settings, focus, sent, delivery, base ...
    charset, content_type   as the message was declared
    """

    system: str
    hub_key: bytes
    zone: tzinfo
    env: dict[str, Any] = msgspec.field(default_factory=dict)
    charset: str = ""
    content_type: str = ""


class MappedResource(msgspec.Struct, frozen=True):
    """One resource. `keep` means: only where the store has none under this id yet (`$existing: keep`);
    the message only repeats what another one says in full, so it counts as older than any other."""

    type: str
    id: str
    body: bytes
    name: str = ""
    keep: bool = False


class Change(msgspec.Struct, frozen=True):
    """New elements for a stored resource (`$existing: change`): the one that the search `criteria` find.

    `content` replaces elements of it; `where` is the position in the message that names it.
    """

    type: str
    criteria: tuple[tuple[str, str], ...]
    content: dict[str, Any]
    where: str
    name: str = ""


@lru_cache(maxsize=8192)
def resource_id(hub_key: bytes, system: str, type_name: str, identifier: str) -> str:
    """The id of a resource: 32 hex characters of HMAC-SHA256 over system, type and business identifier."""
    return hmac.digest(hub_key, f"{system}\x1f{type_name}\x1f{identifier}".encode(), "sha256").hex()[:32]


def text_of(item: Any) -> Any:
    """The plain value of an expression's result: text, number, boolean or JSON."""
    kind = item.__class__
    if kind is str or kind is int or kind is bool or kind is Decimal or kind is dict or kind is list:
        return item
    if isinstance(item, Part):
        return item.text
    if hasattr(item, "as_fhir"):
        return item.as_fhir()
    if hasattr(item, "value") and hasattr(item, "children"):
        return item.value
    if hasattr(item, "children"):
        return item.text
    return str(item)


class Slow:
    """An expression that needs the whole FHIRPath engine, and where it stands."""

    __slots__ = ("expression", "where")

    def __init__(self, expression: Expression, where: str) -> None:
        self.expression = expression
        self.where = where

    def items(self, source: Any, env: dict[str, Any]) -> list[Any]:
        """Every result."""
        try:
            return self.expression(source, env)
        except EvaluationError as error:
            raise InvalidMessage(f"{self.where}: {error}", expression=self.where) from None

    def one(self, source: Any, env: dict[str, Any]) -> Any:
        """The first result as a plain value, or None."""
        for item in self.items(source, env):
            value = text_of(item)
            if value is not None and value != "":
                return value
        return None

    def truth(self, source: Any, env: dict[str, Any]) -> bool:
        """Whether it is true; nothing is not."""
        try:
            return self.expression.truth(source, env)
        except EvaluationError as error:
            raise InvalidMessage(f"{self.where}: {error}", expression=self.where) from None


class Run:
    """One message on its way through one mapping."""

    def __init__(self, name: str, base: str, maps: Mapping[str, ConceptMap], context: Context) -> None:
        self.name = name
        self.base = base
        self.maps = maps
        self.context = context
        self.zone = context.zone
        self.env: dict[str, Any] = {**context.env, "base": base, "system": context.system, RUN: self}
        self.env.setdefault("zone", context.zone)
        self.issues: list[Issue] = []
        self.unmapped: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.resources: list[MappedResource] = []
        self.changes: list[Change] = []
        self.seen: dict[tuple[str, str], MappedResource] = {}
        self.event_time: Any = None
        self.ids: dict[tuple[str, str, str], str] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.facts: dict[str, Any] = {}
        self.where = name

    def map_named(self, name: str) -> ConceptMap:
        """A concept map of this mapping's folder (or `folder/name`)."""
        found = self.maps.get(name)
        if found is None:
            raise Misconfigured(f"{self.name}: expected the concept map {name!r} beside it, found none")
        return found

    def warn(self, tag: str, diagnostics: str, place: str = "", *, code: str = "value") -> None:
        """Report something that does not stop the message; the tag travels with the resource."""
        where = place or self.where
        text = f"{where}: {diagnostics}"
        self.issues.append(Issue(severity="warning", code=code, diagnostics=text, expression=where))
        if tag and tag not in self.tags:
            self.tags.append(tag)

    def refuse(self, reason: str, place: str = "", code: str = "") -> NoReturn:
        """Raise InvalidMessage for what a mapping will not guess; `code` is one of FHIR's issue types."""
        where = place or self.where
        raise invalid(where, reason, code or ("value" if "-" in where else "structure"))

    def id(self, type_name: str, where: str, candidates: Sequence[Any], system: str | None = None) -> str:
        """The id by the first candidate that identifies something; raises InvalidMessage if none does."""
        for candidate in candidates:
            if candidate is not None and candidate != "" and not is_placeholder(str(candidate)):
                return self._id(type_name, str(candidate), system or self.context.system)
        text = f"{self.name}: {type_name} without a usable identifier; looked for {where}"
        raise InvalidMessage(issues=[Issue(code="required", diagnostics=text, expression=where)])

    def reference(self, type_name: str, identifier: Any, system: str | None = None) -> str | None:
        """`Type/id` by business identifier, or nothing."""
        if identifier is None or identifier == "" or is_placeholder(str(identifier)):
            return None
        return f"{type_name}/{self._id(type_name, str(identifier), system or self.context.system)}"

    def _id(self, type_name: str, identifier: str, system: str) -> str:
        key = (type_name, identifier, system)
        found = self.ids.get(key)
        if found is None:
            found = self.ids[key] = resource_id(self.context.hub_key, system, type_name, identifier)
        return found

    def add(self, type_name: str, id: str, content: dict[str, Any], name: str, keep: bool) -> None:
        """A finished resource. The same one twice is one; a different one under the same id is reported."""
        if self.tags:
            content = {"resourceType": type_name, "id": id, **content, **self.tagged(content)}
        made = MappedResource(type_name, id, encode(content), name, keep)
        if b"\\u00" in made.body:
            self._look_for_control_characters()
        before = self.seen.get((type_name, id))
        if before is None:
            self.seen[type_name, id] = made
            self.resources.append(made)
        elif before.body != made.body:
            self.where = name or type_name
            self.warn(
                "",
                f"the message says two different things of one {type_name}; the first one counts",
                code="conflict",
            )

    def _look_for_control_characters(self) -> None:
        """Raise InvalidMessage with the positions of an HL7 v2 message that no text of FHIR can hold."""
        message = self.env["message"][0]
        found = [
            position(segment.id, place[:3])
            for segment in getattr(message, "segments", ())
            for place, raw in atoms(segment)
            if UNSAFE.search(message.decoded(raw) or "")
        ]
        if found:
            raise invalid(", ".join(found[:6]), "a text must not contain control characters")

    def change(
        self, type_name: str, where: str, criteria: dict[str, Any], content: dict[str, Any], name: str
    ) -> None:
        """New elements for the one stored resource that the search criteria find."""
        missing = [key for key, value in criteria.items() if value is None or value == ""]
        if missing:
            raise invalid(where, f"expected what finds the {type_name}: {', '.join(missing)}", "required")
        found = tuple((key, _CHOICES.sub(r"\\\g<0>", str(value))) for key, value in criteria.items())
        self.changes.append(Change(type_name, found, {**content, **self.tagged(content)}, where, name))

    def tagged(self, content: dict[str, Any]) -> dict[str, Any]:
        """The meta of a resource with the tags of its warnings, if there are any."""
        if not self.tags:
            return {}
        system = f"{self.base}/CodeSystem/data-quality"
        meta = dict(content.get("meta") or {})
        meta["tag"] = [*meta.get("tag", ()), *({"system": system, "code": tag} for tag in self.tags)]
        self.tags = []
        return {"meta": meta}

    def coding(
        self, where: str, map_name: str, value: Any, system: Any = None, display: Any = None
    ) -> dict[str, Any] | None:
        """A Coding by concept map; an unknown code keeps its original coding and is reported."""
        if value is None or value == "":
            return None
        code = str(value)
        target = self.map_named(map_name).find(code, str(system or ""))
        if target is None:
            self._unmapped(where, map_name, str(system or ""), code, "; the original coding is kept")
            return _coding(system, code, display)
        if target.equivalence == "inexact":
            self._unmapped(where, map_name, str(system or ""), code, known=True)
        if not target.code:
            return None
        return _coding(target.system or None, target.code, target.display or display)

    def code(self, where: str, map_name: str, value: Any, system: Any = None) -> str | None:
        """A bare code by concept map; an unknown one is reported and yields nothing."""
        if value is None or value == "":
            return None
        target = self.map_named(map_name).find(str(value), str(system or ""))
        if target is None:
            self._unmapped(where, map_name, str(system or ""), str(value))
            return None
        if target.equivalence == "inexact":
            self._unmapped(where, map_name, str(system or ""), str(value), known=True)
        return target.code or None

    def _unmapped(
        self, where: str, map_name: str, system: str, code: str, kept: str = "", known: bool = False
    ) -> None:
        if (map_name, system, code) not in self.unmapped:
            self.unmapped.append((map_name, system, code))
        self.where = where
        what = "is mapped inexactly by" if known else "is not in"
        of = f" of {system}" if system else ""
        self.warn(
            "unmapped-code", f"the code{of} {what} the concept map {map_name}{kept}", code="code-invalid"
        )

    def identifier(self, where: str, check: str, content: dict[str, Any] | None) -> dict[str, Any] | None:
        """An Identifier after its check; a failed one stays, with a warning on the resource."""
        if content is None or "value" not in content:
            return None
        value = str(content["value"])
        if check == "none":
            return content
        self.where = where
        if is_placeholder(value):
            self.warn("placeholder-identifier", "a placeholder stands where an identifier is expected")
        elif (
            check == "id-card" or (not check and content.get("system") == ID_CARD_SYSTEM)
        ) and not id_card_is_valid(value):
            self.warn("id-card-check-digit", "the resident identity number fails its check (GB 11643)")
        elif check == "uscc" and not uscc_is_valid(value):
            self.warn("uscc-check-digit", "the unified social credit code fails its check (GB 32100)")
        return content

    def string(self, value: Any) -> str | None:
        """A value for a text element."""
        if value.__class__ is str or value is None:
            return value or None
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def numeric(self, where: str, value: Any) -> Any:
        """A value for a decimal element."""
        if value is None or value.__class__ is Decimal or value.__class__ is int:
            return value
        return json_number(str(value), where)

    def integer(self, where: str, value: Any) -> int | None:
        """A value for an integer element; raises InvalidMessage if it is none."""
        if value is None or value.__class__ is int:
            return value
        found = json_number(str(value), where)
        if found != int(found):
            raise invalid(where, "expected a whole number")
        return int(found)

    def structure(self, where: str, value: Any) -> dict[str, Any] | None:
        """A value for a complex element: JSON that the expression found whole."""
        if value is None or isinstance(value, dict):
            return value or None
        raise InvalidMessage(f"{where}: expected a structure, found a plain value", expression=where)

    def boolean(self, where: str, value: Any) -> bool | None:
        """A value for a boolean element; raises InvalidMessage if it is none."""
        if value is None or value is True or value is False:
            return value
        found = {"true": True, "false": False, "1": True, "0": False, "Y": True, "N": False}.get(str(value))
        if found is None:
            raise invalid(where, "expected true or false")
        return found


def _coding(system: Any, code: str, display: Any) -> dict[str, Any]:
    coding: dict[str, Any] = {"system": str(system)} if system else {}
    coding["code"] = " ".join(code.split())
    if display:
        coding["display"] = str(display)
    return coding


def invalid(where: str, what: str, code: str = "value") -> InvalidMessage:
    """The error for something in the message that cannot be read, with its position."""
    return InvalidMessage(issues=[Issue(code=code, diagnostics=f"{where}: {what}", expression=where)])


def json_number(text: str, where: str) -> Decimal:
    """The number a text spells, digits kept (`+5` is 5, `.5` is 0.5); raises InvalidMessage otherwise.

    ASCII digits with an optional sign and point, as HL7's NM: no exponent.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and (text[0] != "0" or len(text) == 1):
        return Decimal(text)
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise invalid(where, "expected a number: digits 0-9 with an optional sign and point")
    sign, whole, fraction = match.groups()
    digits = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return Decimal(f"-{digits}" if sign == "-" else digits)
