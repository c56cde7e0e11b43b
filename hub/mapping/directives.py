"""`$value`, `$code`, `$identifier`, `$ref`: what stands for a value instead of spelling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.mapping.document import Fields, Scalar, describe
from hub.mapping.scope import Scope
from hub.mapping.shape import JSON, Slot
from hub.mapping.writing import Made

if TYPE_CHECKING:
    from hub.mapping.values import Values

V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_VALUE_KEYS = frozenset(
    ["$value", "$translate", "$system", "$display", "$default", "$when", "$for", "$as", "$let"]
)
_CODE_KEYS = frozenset(["$code", "$translate", "$system", "$default", "$when", "$for", "$as", "$let"])
_IDENTIFIER_KEYS = frozenset(["system", "value", "type", "use", "period", "assigner", "check"])


def translated(values: Values, node: Fields, slot: Slot, scope: Scope) -> Made:
    """`$value`, as it is or as a Coding by concept map."""
    values.allowed(node, _VALUE_KEYS, "a directive of $value")
    value_node = node.entries["$value"]
    if "$translate" not in node.entries:
        value = values.leaf(value_node, slot, scope)
        return defaulted(values, node, value, slot, scope)
    if slot.fhir and slot.type != "Coding":
        node.fail(f"a {slot.type}", "$translate, which yields a Coding (for a bare code write $code)")
    value = values.leaf(value_node, JSON, scope)
    where, variable = values.where_of(value_node, scope), values.name()
    more = "".join(
        f", {key[1:]}={values.leaf(node.entries[key], JSON, scope).code}"
        for key in ("$system", "$display")
        if key in node.entries
    )
    values.emit(f"{variable} = R.coding({where}, {node.text('$translate')!r}, {value.code}{more})")
    return defaulted(values, node, Made(variable, True, True), slot, scope)


def code(values: Values, node: Fields, slot: Slot, scope: Scope) -> Made:
    """`$code`: the bare code."""
    values.allowed(node, _CODE_KEYS, "a directive of $code")
    if "$translate" not in node.entries:
        node.fail("$translate: the concept map", "none")
    value = values.leaf(node.entries["$code"], JSON, scope)
    where, variable = values.where_of(node.entries["$code"], scope), values.name()
    system = ""
    if "$system" in node.entries:
        system = f", {values.leaf(node.entries['$system'], JSON, scope).code}"
    values.emit(f"{variable} = R.code({where}, {node.text('$translate')!r}, {value.code}{system})")
    return defaulted(values, node, Made(variable, True, True), slot, scope)


def defaulted(values: Values, node: Fields, made: Made, slot: Slot, scope: Scope) -> Made:
    if "$default" not in node.entries:
        return made
    default = node.entries["$default"]
    if not isinstance(default, Scalar):
        default.fail("a constant or an expression", describe(default))
    variable = values.name()
    if default.expression is not None:
        values.emit(f"{variable} = {made.code}")
        values.emit(f"if {variable} is None:")
        values.depth += 1
        values.emit(f"{variable} = {values.leaf(default, slot, scope).code}")
        values.depth -= 1
        return Made(variable, True, made.data)
    values.emit(f"{variable} = {values.constant_leaf(default, slot)} if {made.code} is None else {made.code}")
    return Made(variable, False, made.data)


def identifier(values: Values, node: Fields, slot: Slot, scope: Scope) -> Made:
    content = node.entries["$identifier"]
    if not isinstance(content, Fields):
        content.fail("system, value, type, use, check", describe(content))
    values.allowed(content, _IDENTIFIER_KEYS, "a member of $identifier")
    slots = Slot("Identifier").children()
    children: list[tuple[str, Made]] = []
    value: Made | None = None
    for key in ("use", "type", "system", "value", "period", "assigner"):
        if key not in content.entries:
            continue
        item = content.entries[key]
        if key == "type" and isinstance(item, Scalar):
            made = identifier_type(values, item, scope)
        else:
            made = values.child(key, item, slots, "Identifier", scope)
        if key == "value":
            value = made
        children.append((key, made))
    if value is None:
        content.fail("value: the identifier itself", "none")
    variable = values.name("o")
    lacking = [(key, made) for key, made in children if made.may_lack and key != "value"]
    values.emit(f"{variable} = None if {value.code} is None else {values.literal(children)}")
    for key, made in lacking:
        values.emit(f"if {variable} is not None and {made.code} is None: del {variable}[{key!r}]")
    check = content.text("check")
    if check not in ("", "id-card", "uscc", "none"):
        content.entries["check"].fail("id-card, uscc or none", f"{check!r}")
    where = values.where_of(content.entries["value"], scope)
    values.emit(f"{variable} = R.identifier({where}, {check!r}, {variable})")
    return Made(variable, True, True)


def identifier_type(values: Values, item: Scalar, scope: Scope) -> Made:
    """A bare type is a code of table 0203."""
    if item.expression is None:
        return Made(values.constant({"coding": [{"system": V2_0203, "code": item.text}]}))
    code = values.leaf(item, Slot("code"), scope)
    variable = values.name("o")
    coding = f"{{'coding': [{{'system': {V2_0203!r}, 'code': {code.code}}}]}}"
    values.emit(f"{variable} = None if {code.code} is None else {coding}")
    return Made(variable, True, True)


def reference(values: Values, node: Fields, scope: Scope) -> Made:
    if "$reference" in node.entries:
        return values.leaf(node.entries["$reference"], Slot("string"), scope)
    target = node.entries["$ref"]
    variable = values.name("r")
    if isinstance(target, Scalar):
        name = target.text
        if name in values.ids:
            type_name, id_variable = values.ids[name]
            prefix = f"{type_name}/"
            values.emit(f"{variable} = None if {id_variable} is None else {prefix!r} + {id_variable}")
            return Made(variable, True, True)
        if name in values.looped:
            target.fail("{type, id}", f"{name!r}, which is named inside a loop")
        target.fail("the $as name of a resource of this document", f"{name!r}")
    if not isinstance(target, Fields) or "type" not in target.entries or "id" not in target.entries:
        target.fail("a name, or {type, id}", describe(target))
    identifier = values.leaf(target.entries["id"], JSON, scope)
    system = ""
    if "system" in target.entries:
        system = f", {values.leaf(target.entries['system'], JSON, scope).code}"
    values.emit(f"{variable} = R.reference({target.text('type')!r}, {identifier.code}{system})")
    return Made(variable, True, True)
