"""msgspec structs made from the R4 definitions, each type when it is first needed.

A struct has the members of its JSON form: choice types are separate fields (`deceasedBoolean`), a primitive
has a field beside it for its id and extensions (`_birthDate`), what is absent is None, decimals are
`msgspec.Raw` (the text as it came). A Python keyword carries an underscore: `class_`. What msgspec's types
cannot say (exactly one choice, value xor extension, reference targets) is a generated `__post_init__`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from hub.r4 import definitions
from hub.r4.definitions import Element
from hub.r4.primitives import INTEGERS, PATTERNS

NotEmpty = msgspec.Meta(min_length=1)
_DIGITS = frozenset(b"-0123456789")
_ABSOLUTE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?\Z")
_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"').match
_structs: dict[str, type[msgspec.Struct]] = {}


class _Head(msgspec.Struct):
    type: str = msgspec.field(name="resourceType")


_head = msgspec.json.Decoder(_Head).decode


def attribute(name: str) -> str:
    """The struct's field for a JSON member: `class` → `class_`."""
    return name + "_" if keyword.iskeyword(name) else name


def field_names(name: str, element: Element) -> list[tuple[str, str]]:
    """(JSON member, type) for an element: one, or one for every type of a choice."""
    if not element.choice:
        return [(name, element.types[0])]
    return [(name + kind[0].upper() + kind[1:], kind) for kind in element.types]


def has_beside(path: str, name: str, kind: str) -> bool:
    """Whether a member has another one (`_birthDate`) for id and extensions beside it: a primitive that is
    an element. The id of an element and the url of an extension are attributes, and XHTML has neither
    (http://hl7.org/fhir/R4/element.html#id)."""
    if kind not in definitions.PRIMITIVES or kind == "xhtml":
        return False
    return not (
        (name == "id" and not definitions.is_resource(path)) or (name == "url" and path == "Extension")
    )


def struct(path: str) -> type[msgspec.Struct]:
    """The struct of a resource type, data type or inner structure (`Patient.contact`), or KeyError."""
    if path not in _structs:
        _load(path)
    return _structs[path]


@cache
def decoder(type_name: str) -> Callable[[bytes], Any]:
    """The bound decode of a resource type; raises msgspec.ValidationError, DecodeError or RecursionError."""
    return msgspec.json.Decoder(struct(type_name)).decode


def resource_type(body: Any) -> str:
    """The resourceType of a JSON object; msgspec errors if it has none."""
    first = _FIRST(body)
    return first.group(1).decode() if first else _head(body).type


def inner(raw: msgspec.Raw) -> Any:
    """A resource inside another one."""
    name = resource_type(raw)
    if not definitions.is_type(name):
        raise ValueError("unknown resourceType")
    return decoder(name)(raw)


def _load(path: str) -> None:
    """Create `path` and everything it needs; types are filled in once all of them exist."""
    if not definitions.members(path):
        raise KeyError(path)
    waiting, fresh = [path], []
    while waiting:
        name = waiting.pop()
        if name in _structs:
            continue
        _structs[name] = _create(name)
        fresh.append(name)
        for element in definitions.members(name).values():
            waiting += [t for t in (*element.types, "Element") if _is_struct(t) and t not in _structs]
    for name in fresh:
        for member, element in definitions.members(name).items():
            _annotate(_structs[name].__annotations__, name, member, element)


def _is_struct(kind: str) -> bool:
    return kind not in definitions.PRIMITIVES and kind not in ("Resource", "xhtml")


def _create(path: str) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for name, element in definitions.members(path).items():
        for member, kind in field_names(name, element):
            required = element.min > 0 and not element.choice and kind not in definitions.PRIMITIVES
            default: Any = ... if required else None
            attr = attribute(member)
            renamed = attr if attr == member else None
            fields.append(
                (attr, Any, _field(member if renamed is None and attr != member else None, default))
            )
            if has_beside(path, name, kind):
                fields.append(("_" + member, Any, _field(None, None)))
    namespace: dict[str, Any] = {"__fhir__": path}
    check = _check(path)
    if check is not None:
        namespace["__post_init__"] = check
    resource = "." not in path and definitions.is_type(path)
    return msgspec.defstruct(
        path.replace(".", "_"),
        fields,
        module=__name__,
        namespace=namespace,
        tag_field="resourceType" if resource else None,
        tag=path if resource else None,
        kw_only=True,
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _field(name: str | None, default: Any) -> Any:
    if default is ...:
        return msgspec.field(name=name)
    return msgspec.field(name=name, default=default)


def _annotate(annotations: dict[str, Any], path: str, name: str, element: Element) -> None:
    for member, kind in field_names(name, element):
        single = _value_type(kind, element)
        annotations[attribute(member)] = single
        primitive = kind in definitions.PRIMITIVES
        if element.many:
            gaps = primitive and single is not msgspec.Raw  # Raw holds a null itself, and mixes with nothing
            listed = list[single | None] if gaps else list[single]  # type: ignore[valid-type]
            annotations[attribute(member)] = Annotated[listed, NotEmpty]
        if has_beside(path, name, kind):
            extra = _structs["Element"]
            annotations["_" + member] = (
                Annotated[list[extra | None], NotEmpty] if element.many else extra  # type: ignore[valid-type]
            )


@cache
def _primitive(kind: str) -> Any:
    if kind == "boolean":
        return bool
    if kind == "decimal":
        return msgspec.Raw
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return Annotated[int, msgspec.Meta(ge=low, le=high)]
    if kind in PATTERNS:
        return Annotated[str, msgspec.Meta(pattern=PATTERNS[kind])]
    return Annotated[str, NotEmpty]


def _value_type(kind: str, element: Element) -> Any:
    if kind == "code" and element.binding == "required":
        listed = definitions.codes(element.valueset)
        if listed:
            return Literal[tuple(sorted(listed))]
    if kind in definitions.PRIMITIVES:
        return _primitive(kind)
    if kind == "Resource":
        return msgspec.Raw
    return _structs[kind]


# -- what the types cannot say


def _check(path: str) -> Callable[[Any], None] | None:
    """The generated `__post_init__` of a type, or None where there is nothing left to check."""
    members = definitions.members(path)
    names: dict[str, Any] = {
        "number": _check_number, "inner": inner, "gaps": _gaps,
        "wrong_target": _wrong_target, "unbound": _unbound,
    }  # fmt: skip
    lines: list[str] = []
    if path == "Extension":
        return _extension_check(members["value"])
    for name, element in members.items():
        lines += _choice_lines(name, element) if element.choice else _required_lines(name, element)
        for member, kind in field_names(name, element):
            lines += _member_lines(member, kind, element, names)
    if not lines:
        return None
    source = "def check(self):\n" + "\n".join("    " + line for line in lines)
    exec(compile(source, f"<r4 {path}>", "exec"), names)  # our own text, made from the pack
    made: Callable[[Any], None] = names["check"]
    return made


def _present(member: str, kind: str) -> str:
    here = f"self.{attribute(member)} is not None"
    return f"({here} or self._{member} is not None)" if kind in definitions.PRIMITIVES else f"({here})"


def _choice_lines(name: str, element: Element) -> list[str]:
    parts = [_present(member, kind) for member, kind in field_names(name, element)]
    wrong = "!= 1" if element.min else "> 1"
    return [f"if {' + '.join(parts)} {wrong}: raise ValueError('one of {name}[x]')"]


def _required_lines(name: str, element: Element) -> list[str]:
    kind = element.types[0]
    if not element.min or kind not in definitions.PRIMITIVES:
        return []
    beside = "" if kind == "xhtml" else f" and self._{name} is None"
    return [f"if self.{attribute(name)} is None{beside}: raise ValueError('{name} is missing')"]


def _member_lines(member: str, kind: str, element: Element, names: dict[str, Any]) -> list[str]:
    value = f"self.{attribute(member)}"
    if kind == "Resource":
        loaded = f"[inner(r) for r in {value}]" if element.many else f"inner({value})"
        return [f"if {value} is not None: {value} = {loaded}"]
    each = f"for v in {value}:" if element.many else f"v = {value}"
    indent = "        " if element.many else "    "
    guard = f"if {value} is not None:"
    if kind == "decimal":
        test = f"{indent}if v is not None: number(v)"
        if not element.many:
            return [guard, "    " + each, test]
        nulls = f"    {value} = [None if bytes(v) == b'null' else v for v in {value}]"
        aligned = f"if {value} is not None or self._{member} is not None: gaps({value}, self._{member})"
        return [guard, nulls, "    " + each, test, aligned]
    if kind in definitions.PRIMITIVES:
        if not element.many:
            return []
        test = f"if self._{member} is not None or ({value} is not None and None in {value}):"
        return [test, f"    gaps({value}, self._{member})"]
    if kind == "Reference" and element.targets:
        constant = f"targets_{member}"
        names[constant] = frozenset(element.targets)
        return [
            guard,
            "    " + each,
            f"{indent}r = v.reference",
            f"{indent}if r is not None and r[:r.find('/')] not in {constant}: wrong_target(r, {constant})",
        ]
    if element.binding == "required" and kind in ("CodeableConcept", "Coding"):
        listed = definitions.codings(element.valueset)
        if listed:
            names[f"bound_{member}"] = listed
            return [guard, "    " + each, f"{indent}unbound(v, bound_{member})"]
    return []


def _extension_check(value: Element) -> Callable[[Any], None]:
    """ext-1: either a value or extensions, and only one value; and the url is always there."""
    names = [member for member, _ in field_names("value", value)]
    total = len(names)
    values = attrgetter(*names)
    primitive = [m for m, kind in field_names("value", value) if kind in definitions.PRIMITIVES]
    extras = attrgetter(*("_" + m for m in primitive))
    none = (None,) * len(primitive)

    def check(self: Any) -> None:
        found = total - values(self).count(None)
        more = extras(self)
        if more != none:
            found = sum(
                getattr(self, m) is not None or getattr(self, "_" + m, None) is not None for m in names
            )
        if found + (self.extension is not None) != 1 or self.url is None:
            raise ValueError("either one value or extensions")
        if self.valueDecimal is not None:
            _check_number(self.valueDecimal)

    return check


def _check_number(raw: msgspec.Raw) -> None:
    text = bytes(raw)
    if text[0] not in _DIGITS:
        raise ValueError("a decimal is a JSON number")
    if len(text) > 18:  # shorter ones cannot have an exponent beyond what Decimal holds
        try:
            Decimal(text.decode())
        except InvalidOperation:
            raise ValueError("number out of range") from None


def _gaps(values: list[Any] | None, extras: list[Any] | None) -> None:
    """A null is allowed only where the other list has something at that position."""
    for position in range(max(len(values or ()), len(extras or ()))):
        if not any(part and position < len(part) and part[position] is not None for part in (values, extras)):
            raise ValueError("null without a value beside it")


def target_type(reference: str) -> str:
    """The resource type a literal reference names, or empty (`#p1`, `urn:uuid:...`, other URLs)."""
    match = _ABSOLUTE.search(reference)
    return match.group(1) if match and definitions.is_type(match.group(1)) else ""


def _wrong_target(reference: str, targets: frozenset[str]) -> None:
    found = target_type(reference)
    if found and found not in targets:
        raise ValueError(f"reference to {found}")


def _unbound(value: Any, listed: frozenset[tuple[str, str]]) -> None:
    codings = getattr(value, "coding", (value,))
    if codings and not any((c.system, c.code) in listed for c in codings):
        raise ValueError("no coding from the required value set")
