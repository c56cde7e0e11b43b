"""From a node of the document to Python text for the value in its place."""

from __future__ import annotations

import re
from decimal import Decimal

from hub.mapping import directives
from hub.mapping.document import Fields, Items, Node, Scalar, describe, nearest
from hub.mapping.scope import Local, Scope
from hub.mapping.shape import INTEGERS, JSON, Slot
from hub.mapping.writing import Made, Writer

RESOURCE_KEYS = frozenset(["$as", "$when", "$for", "$let", "$id", "$system", "$existing", "$find"])
"""Directives of a resource."""
_NESTED_KEYS = frozenset(["$for", "$as", "$let", "$when", "$items"])
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NODE_KEYS = frozenset(
    ["$when", "$for", "$as", "$let", "$default", "$ref", "$reference", "$value", "$code", "$identifier"]
)
_CHECKED = INTEGERS | {"decimal", "boolean"}


class Values(Writer):
    """Structures, lists, leaves and what `let` binds."""

    def bindings(self, node: Node | None, scope: Scope) -> None:
        """`let` and `$let`."""
        if node is None:
            return
        if not isinstance(node, Fields):
            node.fail("names with expressions", describe(node))
        for key, value in node.entries.items():
            if not _NAME.fullmatch(key):
                value.fail("a name of letters, digits and underscores", f"{key!r}")
            self.bind(key, value, scope)

    def bind(self, key: str, value: Node, scope: Scope) -> None:
        local = self.name("l")
        scope.texts.pop(f"%{key}", None)
        if isinstance(value, Scalar) and value.expression is not None:
            scope.texts[f"%{key}"] = f"({scope.whole(value.expression)})"
            self.where(value, scope)
            single = self.expressions.single(value, scope)
            if single is not None:
                self.emit(f"{local} = {single.code}")
                self.emit(f"E[{key!r}] = [] if {local} is None else [{local}]")
                kind = single.kind
                scope.locals[key] = Local(local, kind)
                return
            items, kind = self.expressions.items(value, scope)
            self.emit(f"{local} = E[{key!r}] = {items}")
            node = f"({local}[0] if {local} else None)"
            one = kind == "part" and self.expressions.at_most_one(value)
            scope.locals[key] = Local(f"txt({local})", "part" if kind == "part" else "any", node, sure=one)
            return
        made = self.value(value, JSON, scope)
        self.emit(f"{local} = {made.code}")
        self.emit(f"E[{key!r}] = [] if {local} is None else [{local}]")
        text = isinstance(value, Scalar) and not value.is_number
        scope.locals[key] = Local(local, "str" if text else "any")

    def child(self, key: str, value: Node, slots: dict[str, Slot], owner: str, scope: Scope) -> Made:
        if key.startswith("$"):
            value.fail(f"a directive that belongs here{nearest(key, _NODE_KEYS | RESOURCE_KEYS)}", f"{key!r}")
        slot = slots.get(key)
        if slot is None:
            value.fail(f"an element of {owner}{nearest(key, slots)}", f"{key!r}")
        return self.value(value, slot, scope)

    def value(self, node: Node, slot: Slot, scope: Scope) -> Made:
        """The value of a node in its place: a list where the place holds several."""
        if isinstance(node, Items):
            return self.sequence(node, slot, scope)
        if isinstance(node, Fields):
            return self.conditional(node, slot, scope)
        if not slot.many or not slot.fhir:
            return self.leaf(node, slot, scope)
        assert isinstance(node, Scalar)
        return self.several(node, slot, scope)

    def several(self, node: Scalar, slot: Slot, scope: Scope) -> Made:
        """One scalar for a place that holds several values."""
        one = Slot(slot.type)
        if node.expression is None:
            return Made(f"[{self.leaf(node, one, scope).code}]")
        if self.expressions.folded(node) is not None:
            return Made(f"[{self.leaf(node, one, scope).code}]")
        if self.expressions.single(node, scope) is not None or self.expressions.is_component(node, scope):
            return self.listed(self.leaf(node, one, scope))
        items, _ = self.expressions.items(node, scope)
        self.where(node, scope)
        variable, item = self.name(), self.name("i")
        converted = self.converted(f"text_of({item})", "any", node, one, scope)
        self.emit(f"{variable} = [x for x in [{converted} for {item} in {items}] if x is not None] or None")
        return Made(variable, True, True)

    def sequence(self, node: Items, slot: Slot, scope: Scope) -> Made:
        if slot.fhir and not slot.many:
            node.fail(f"one {slot.type}", "a list")
        item_slot = Slot(slot.type, many=slot.fhir)
        made = [self.value(item, item_slot, scope) for item in node.items]
        if not made:
            return Made("None" if slot.fhir else "[]", slot.fhir)
        if not slot.fhir:
            looping = [isinstance(item, Fields) and "$for" in item.entries for item in node.items]
            parts = [
                f"*({one.code} or ())" if loop else one.code for one, loop in zip(made, looping, strict=True)
            ]
            if any(one.may_lack and not loop for one, loop in zip(made, looping, strict=True)):
                inner = ", ".join(parts)
                return Made(f"[x for x in ({inner},) if x is not None]", data=any(one.data for one in made))
            return Made(f"[{', '.join(parts)}]", data=any(one.data for one in made))
        if len(made) == 1:
            return made[0]
        if not any(one.may_lack for one in made):
            return Made(f"[{', '.join('*' + one.code for one in made)}]", data=any(one.data for one in made))
        variable = self.name()
        parts = [f"*({one.code} or ())" if one.may_lack else f"*{one.code}" for one in made]
        self.emit(f"{variable} = [{', '.join(parts)}] or None")
        return Made(variable, True, any(one.data for one in made))

    def conditional(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        """A structure with its `$for`, `$let` and `$when`."""
        wrap = slot.fhir and slot.many
        one = Slot(slot.type)
        if "$for" in node.entries:
            if slot.fhir and not slot.many:
                node.fail(f"one {slot.type}", "$for")
            found = self.name("list")
            self.emit(f"{found} = []")
            inner = self.open_loop(node, scope)
            self.bindings(node.entries.get("$let"), inner)
            conditional = self.open_when(node, inner)
            if "$items" in node.entries:
                self.emit(f"{found} += {self.nested(node, slot, inner).code} or ()")
                made = None
            else:
                made = self.structure(node, one, inner)
            if made is None:
                pass
            elif made.may_lack:
                self.emit(f"if {made.code} is not None:")
                self.emit(f"    {found}.append({made.code})")
            else:
                self.emit(f"{found}.append({made.code})")
            self.depth -= conditional
            self.close_loop(node)
            if not slot.fhir:
                return Made(found, data=True)
            return Made(f"({found} or None)", True, True)
        inner = scope.inside(scope.source, scope.kind) if "$let" in node.entries else scope
        if "$when" not in node.entries:
            self.bindings(node.entries.get("$let"), inner)
            made = self.structure(node, one, inner)
            return self.listed(made) if wrap else made
        variable = self.name()
        self.bindings(node.entries.get("$let"), inner)
        self.emit(f"{variable} = None")
        self.open_when(node, inner)
        made = self.structure(node, one, inner)
        self.emit(f"{variable} = {made.code}")
        self.depth -= 1
        made = Made(variable, True, True)
        return self.listed(made) if wrap else made

    def nested(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        """`$items`: what a loop adds to its list is itself a list of structures and loops."""
        self.allowed(node, _NESTED_KEYS, "$items alone, with $for, $as, $let and $when")
        content = node.entries["$items"]
        if not isinstance(content, Items):
            content.fail("a list", describe(content))
        return self.sequence(content, slot, scope)

    def listed(self, made: Made) -> Made:
        if not made.may_lack:
            return Made(f"[{made.code}]", False, made.data)
        variable = self.name()
        self.emit(f"{variable} = None if {made.code} is None else [{made.code}]")
        return Made(variable, True, made.data)

    def structure(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        """One structure, or the value that its directive stands for."""
        entries = node.entries
        if "$identifier" in entries:
            return directives.identifier(self, node, slot, scope)
        if "$code" in entries:
            return directives.code(self, node, slot, scope)
        if "$value" in entries:
            return directives.translated(self, node, slot, scope)
        extra: list[tuple[str, Made]] = []
        if "$ref" in entries or "$reference" in entries:
            if slot.fhir and slot.type != "Reference":
                node.fail(f"a {slot.type}", "a reference")
            extra.append(("reference", directives.reference(self, node, scope)))
        slots = slot.children() if slot.fhir else None
        resource = entries.get("resourceType")
        if slot.type == "Resource" and isinstance(resource, Scalar):
            slots = {**Slot(resource.text).children(), "resourceType": Slot("code")}
            slot = Slot(resource.text)
        if slots is not None and slot.primitive:
            node.fail(f"a {slot.type}", "a mapping")
        for key, value in entries.items():
            if key.startswith("$"):
                if key not in _NODE_KEYS:
                    value.fail(f"a directive{nearest(key, _NODE_KEYS)}", f"{key!r}")
                continue
            if slots is not None:
                extra.append((key, self.child(key, value, slots, slot.type, scope)))
            else:
                extra.append((key, self.value(value, JSON, scope)))
        return self.object(extra, fhir=slots is not None)

    def object(self, children: list[tuple[str, Made]], *, fhir: bool) -> Made:
        """A dict; for FHIR only if there is something in it that the source said."""
        data = any(made.data for _, made in children)
        if not fhir:
            if not any(made.may_lack for _, made in children):
                return Made(self.literal(children), False, data)
            return Made(self.dictionary(children), False, data)
        if not children:
            return Made("None", True)
        lacking = [made.code for _, made in children if made.data and made.may_lack]
        certain = [made for _, made in children if made.data and not made.may_lack]
        if certain or not data:
            if not data and all(not made.may_lack for _, made in children):
                return Made(self.hoisted(children))
            return Made(self.dictionary(children), False, data)
        variable = self.name("o")
        test = " and ".join(f"{code} is None" for code in dict.fromkeys(lacking))
        if len(lacking) == 1:
            self.emit(f"{variable} = None if {test} else {self.literal(children)}")
            return Made(variable, True, True)
        self.emit(f"if {test}: {variable} = None")
        self.emit("else:")
        self.depth += 1
        self.emit(f"{variable} = {self.literal(children)}")
        for key, made in children:
            if made.may_lack:
                self.emit(f"if {made.code} is None: del {variable}[{key!r}]")
        self.depth -= 1
        return Made(variable, True, True)

    def literal(self, children: list[tuple[str, Made]]) -> str:
        return "{" + ", ".join(f"{key!r}: {made.code}" for key, made in children) + "}"

    def dictionary(self, children: list[tuple[str, Made]]) -> str:
        variable = self.name("o")
        self.emit(f"{variable} = {self.literal(children)}")
        for key, made in children:
            if made.may_lack:
                self.emit(f"if {made.code} is None: del {variable}[{key!r}]")
        return variable

    def hoisted(self, children: list[tuple[str, Made]]) -> str:
        """A structure of constants, built once."""
        return self.constant(eval(self.literal(children), dict(self.expressions.names)))

    def leaf(self, node: Node, slot: Slot, scope: Scope) -> Made:
        if not isinstance(node, Scalar):
            return self.value(node, slot, scope)
        if node.expression is None:
            return Made(self.constant_leaf(node, slot))
        folded = self.expressions.folded(node)
        if folded is not None:
            return Made(repr(folded))
        self.where(node, scope)
        fast = self.expressions.one(node, scope)
        if fast.kind == "int" and not slot.fhir:
            return Made(fast.code, False, True)
        variable = self.name()
        converted = self.converted(fast.code, fast.kind, node, slot, scope)
        self.emit(f"{variable} = {converted}")
        return Made(variable, True, True)

    def converted(self, code: str, kind: str, node: Scalar, slot: Slot, scope: Scope) -> str:
        """The value in the type of its element."""
        if not slot.fhir:
            return code
        if slot.primitive and slot.type not in _CHECKED:
            return code if kind == "str" else f"R.string({code})"
        where = self.constant(scope.position(node.expression or ""))
        if slot.type == "decimal" and kind == "num":
            return code
        if slot.type == "decimal":
            return f"R.numeric({where}, {code})"
        if slot.type in INTEGERS:
            return code if kind == "int" else f"R.integer({where}, {code})"
        if slot.type == "boolean":
            return f"R.boolean({where}, {code})"
        return f"R.structure({where}, {code})"

    def constant_leaf(self, node: Scalar, slot: Slot) -> str:
        text = node.text
        if not slot.fhir:
            return self.json_constant(node)
        if slot.type == "boolean":
            if text not in ("true", "false"):
                node.fail("true or false", f"{text!r}")
            return text.capitalize()
        if slot.type in INTEGERS:
            if not re.fullmatch(r"-?\d+", text):
                node.fail("a whole number", f"{text!r}")
            return str(int(text))
        if slot.type == "decimal":
            if not node.is_number:
                node.fail("a number", f"{text!r}")
            return self.constant(Decimal(text))
        if not slot.primitive:
            node.fail(f"a {slot.type}", f"{text[:40]!r}")
        if not text:
            node.fail("something", "an empty text")
        return repr(text)

    def json_constant(self, node: Scalar) -> str:
        if node.plain and node.text in ("true", "false"):
            return node.text.capitalize()
        if node.plain and node.text in ("null", "~", ""):
            return "NULL"
        if node.is_number:
            return (
                self.constant(Decimal(node.text))
                if not node.text.lstrip("-").isdigit()
                else str(int(node.text))
            )
        return repr(node.text)

    def where_of(self, node: Node, scope: Scope) -> str:
        text = node.expression if isinstance(node, Scalar) else None
        return self.constant(scope.position(text) if text else self.document.name)
