"""One Python function per mapping document, written from its tree.

The generated text is plain: evaluate the leaves into names, then build each structure if one of its
expressions yielded something. `Compiled.text` shows it (`hub map show`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from hub.mapping import runtime
from hub.mapping.document import Document, Fields, Items, Node, Scalar, describe
from hub.mapping.expressions import Expressions, Local, Scope
from hub.mapping.shape import INTEGERS, JSON, Slot
from hub.r4.definitions import is_type

_WARNS = re.compile(r"\b(dateTime|date|chinaDateTime|number|local)\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE_KEYS = frozenset("$value $translate $system $display $default $when $for $as $let".split())
_CODE_KEYS = frozenset("$code $translate $system $default $when $for $as $let".split())
_IDENTIFIER_KEYS = frozenset("system value type use period assigner check".split())
_RESOURCE_KEYS = frozenset("$as $when $for $let $id $system $existing".split())
_GROUP_KEYS = frozenset("$as $when $for $let resources".split())
_NODE_KEYS = frozenset("$when $for $as $let $default $ref $reference $value $code $identifier".split())
_CHECKED = INTEGERS | {"decimal", "boolean"}
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"

Build = Callable[[Any, dict[str, Any], runtime.Run], Any]


class Made(NamedTuple):
    """Python text for a value: `may_lack` if it can be None, `data` if it comes from an expression."""

    code: str
    may_lack: bool = False
    data: bool = False


class Compiled(msgspec.Struct, frozen=True):
    """The functions of one document, each (source, env, run): the body, and the scope of the counter."""

    text: str
    map: Build
    counter: Build | None


def compile_document(document: Document, *, base: str, fast: bool = True) -> Compiled:
    """Compile; raises Misconfigured with file and line for anything the language does not have."""
    return _Compiler(document, base, fast).compile()


class _Compiler:
    def __init__(self, document: Document, base: str, fast: bool) -> None:
        self.document = document
        self.expressions = Expressions(hl7v2=document.format == "hl7v2", base=base, fast=fast)
        self.lines: list[str] = []
        self.depth = 0
        self.counter = 0
        self.ids: dict[str, tuple[str, str]] = {}
        self.looped: set[str] = set()
        self.outer: list[tuple[str, int]] = []

    # writing

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def name(self, prefix: str = "v") -> str:
        self.counter += 1
        return f"{prefix}_{self.counter}"

    def constant(self, value: Any) -> str:
        return self.expressions.constant(value)

    def where(self, node: Scalar, scope: Scope) -> None:
        """Say where we are, before something that may warn."""
        text = node.expression or ""
        if _WARNS.search(text):
            self.emit(f"R.where = {self.constant(scope.position(text))}")

    # the whole

    def compile(self) -> Compiled:
        root = self.document.root
        kind = "message" if self.document.format == "hl7v2" else "any"
        scope = Scope(source="S", kind=kind, root_kind=kind)
        self.emit("def build(S, E, R):")
        self.depth = 1
        self.emit("M = S")
        place = self.open_group("S", kind)
        self.bindings(root.entries.get("let"), scope)
        if self.document.direction == "out":
            self.outward(root, scope)
            self.emit("return out")
        else:
            if "event_time" in root.entries:
                self.emit(f"R.event_time = {self.leaf(root.entries['event_time'], JSON, scope).code}")
            self.facts(root.entries.get("facts"), scope)
            self.resources(root.entries.get("resources"), scope)
            self.emit("return None")
        self.close_group("S", place)
        if "counter" in root.entries:
            self.counter_scope(root, kind)
        text = "\n".join(self.lines) + "\n"
        space = {**_RUNTIME, **self.expressions.names}
        exec(compile(text, f"<mapping {self.document.name}>", "exec"), space)
        return Compiled(text=text, map=space["build"], counter=space.get("counter"))

    def counter_scope(self, root: Fields, kind: str) -> None:
        scope = Scope(source="S", kind=kind, root_kind=kind)
        self.depth = 0
        self.emit("def counter(S, E, R):")
        self.depth = 1
        self.emit("M = S")
        place = self.open_group("S", kind)
        self.bindings(root.entries.get("let"), scope)
        self.emit(f"return {self.leaf(root.entries['counter'], JSON, scope).code}")
        self.close_group("S", place)

    def open_group(self, source: str, kind: str) -> int:
        """Leave a line free where the segments of a message or group are fetched once."""
        if kind in ("message", "group"):
            self.expressions.open_group(source)
        self.emit("")
        return len(self.lines) - 1

    def close_group(self, source: str, place: int) -> None:
        if source in self.expressions.handles:
            indent = self.lines[place]
            self.lines[place] = "\n".join(self.expressions.segments_of(source, indent))

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

    def facts(self, node: Node | None, scope: Scope) -> None:
        if node is None:
            return
        if not isinstance(node, Fields):
            node.fail("names with expressions", describe(node))
        for key, value in node.entries.items():
            if isinstance(value, Scalar) and value.expression is not None:
                self.where(value, scope)
                items, _ = self.expressions.items(value, scope)
                self.emit(f"fact(R, {key!r}, {items})")
            else:
                made = self.value(value, JSON, scope)
                self.emit(f"fact(R, {key!r}, [{made.code}])")

    def outward(self, root: Fields, scope: Scope) -> None:
        message = root.entries.get("message")
        if message is None:
            root.fail("message: the body that goes out", "nothing")
        slot = Slot("Resource") if self.document.format == "fhir" else JSON
        made = self.value(message, slot, scope)
        self.emit(f"out = {{'message': {made.code}}}")
        for key in ("business_id", "headers", "kind"):
            if key in root.entries:
                extra = self.value(root.entries[key], JSON, scope)
                self.emit(f"out[{key!r}] = {extra.code}")

    # resources

    def resources(self, node: Node | None, scope: Scope) -> None:
        if node is None:
            return
        if not isinstance(node, Items):
            node.fail("a list of resources", describe(node))
        waiting: list[Callable[[], None]] = []
        for item in node.items:
            if not isinstance(item, Fields):
                item.fail("a resource", describe(item))
            if "resourceType" not in item.entries:
                self.group(item, scope, waiting)
            elif "$for" in item.entries:
                waiting.append(self.later(self.loop, item, scope))
            else:
                waiting.append(self.identified(item, scope))
        for write in waiting:
            write()

    def later(self, write: Callable[[Fields, Scope], None], item: Fields, scope: Scope) -> Callable[[], None]:
        return lambda: write(item, scope)

    def group(self, item: Fields, scope: Scope, waiting: list[Callable[[], None]]) -> None:
        """Resources that share a condition or a loop."""
        self.allowed(item, _GROUP_KEYS, "a resource (resourceType) or a group ($for, $when, $let, resources)")

        def write() -> None:
            with_loop = "$for" in item.entries
            inner = self.open_loop(item, scope) if with_loop else scope.inside(scope.source, scope.kind)
            self.bindings(item.entries.get("$let"), inner)
            conditional = self.open_when(item, inner)
            before = dict(self.ids)
            self.resources(item.entries.get("resources"), inner)
            self.looped |= set(self.ids) - set(before)
            self.ids = before
            self.depth -= conditional
            if with_loop:
                self.close_loop(item)

        waiting.append(write)

    def identified(self, item: Fields, scope: Scope) -> Callable[[], None]:
        """First the id of a resource, so that any other may refer to it; the body later."""
        type_name = self.type_name(item)
        inner = scope.inside(scope.source, scope.kind)
        variable = self.name("id")
        self.emit(f"{variable} = None")
        self.bindings(item.entries.get("$let"), inner)
        conditional = self.open_when(item, inner)
        self.assign_id(item, type_name, variable, inner)
        self.depth -= conditional
        name = item.text("$as")
        if name:
            self.ids[name] = (type_name, variable)

        def write() -> None:
            self.emit(f"if {variable} is not None:")
            self.depth += 1
            self.body(item, type_name, variable, inner)
            self.depth -= 1

        return write

    def loop(self, item: Fields, scope: Scope) -> None:
        type_name = self.type_name(item)
        inner = self.open_loop(item, scope)
        self.bindings(item.entries.get("$let"), inner)
        conditional = self.open_when(item, inner)
        variable = self.name("id")
        self.assign_id(item, type_name, variable, inner)
        name, before = item.text("$as"), dict(self.ids)
        if name:
            self.ids[name] = (type_name, variable)
        self.body(item, type_name, variable, inner)
        self.ids = before
        if name:
            self.looped.add(name)
        self.depth -= conditional
        self.close_loop(item)

    def type_name(self, item: Fields) -> str:
        type_name = item.text("resourceType")
        if not is_type(type_name):
            item.entries["resourceType"].fail("an R4 resource type", f"{type_name!r}")
        return type_name

    def assign_id(self, item: Fields, type_name: str, variable: str, scope: Scope) -> None:
        node = item.entries.get("$id")
        if node is None:
            item.fail("$id: the business identifier the id is derived from", f"none in {type_name}")
        candidates = node.items if isinstance(node, Items) else [node]
        codes, texts = [], []
        for candidate in candidates:
            if not isinstance(candidate, Scalar):
                candidate.fail("an expression", describe(candidate))
            if candidate.expression is None:
                codes.append(repr(candidate.text))
            else:
                self.where(candidate, scope)
                codes.append(self.expressions.one(candidate, scope).code)
            texts.append(candidate.text.removeprefix("= "))
        system = ""
        if "$system" in item.entries:
            system = f", {self.leaf(item.entries['$system'], JSON, scope).code}"
        where = self.constant(scope.position(" | ".join(texts)))
        self.emit(f"{variable} = R.id({type_name!r}, {where}, ({', '.join(codes)},){system})")

    def body(self, item: Fields, type_name: str, variable: str, scope: Scope) -> None:
        keep = item.text("$existing", "replace")
        if keep not in ("replace", "keep"):
            item.entries["$existing"].fail("keep or replace", f"{keep!r}")
        slots = Slot(type_name).children()
        self.emit("R.tags = []")
        children: list[tuple[str, Made]] = [("id", Made(variable))]
        for key, value in item.entries.items():
            if key == "resourceType" or key in _RESOURCE_KEYS:
                continue
            children.append((key, self.child(key, value, slots, type_name, scope)))
        content = self.dictionary([("resourceType", Made(repr(type_name))), *children])
        name = item.text("$as")
        self.emit(f"R.add({type_name!r}, {variable}, {content}, {name!r}, {keep == 'keep'})")

    def child(self, key: str, value: Node, slots: dict[str, Slot], owner: str, scope: Scope) -> Made:
        if key.startswith("$"):
            value.fail("a directive that belongs here", f"{key!r}")
        slot = slots.get(key)
        if slot is None:
            value.fail(f"an element of {owner}", f"{key!r}")
        return self.value(value, slot, scope)

    # values

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
        if self.expressions.single(node, scope) is not None:
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
            parts = [f"*({one.code} or ())" if loop else one.code for one, loop in zip(made, looping, strict=True)]
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
            made = self.structure(node, one, inner)
            if made.may_lack:
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
            return self.identifier(node, slot, scope)
        if "$code" in entries:
            return self.code(node, slot, scope)
        if "$value" in entries:
            return self.translated(node, slot, scope)
        extra: list[tuple[str, Made]] = []
        if "$ref" in entries or "$reference" in entries:
            if slot.fhir and slot.type != "Reference":
                node.fail(f"a {slot.type}", "a reference")
            extra.append(("reference", self.reference(node, scope)))
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
                    value.fail("a directive", f"{key!r}")
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

    # leaves

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
            return self.constant(Decimal(node.text)) if not node.text.lstrip("-").isdigit() else str(int(node.text))
        return repr(node.text)

    # directives

    def translated(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        """`$value`, as it is or as a Coding by concept map."""
        self.allowed(node, _VALUE_KEYS, "a directive of $value")
        value_node = node.entries["$value"]
        if "$translate" not in node.entries:
            value = self.leaf(value_node, slot, scope)
            return self.defaulted(node, value, slot)
        if slot.fhir and slot.type != "Coding":
            node.fail(f"a {slot.type}", "$translate, which yields a Coding (for a bare code write $code)")
        value = self.leaf(value_node, JSON, scope)
        where, variable = self.where_of(value_node, scope), self.name()
        more = "".join(
            f", {key[1:]}={self.leaf(node.entries[key], JSON, scope).code}"
            for key in ("$system", "$display")
            if key in node.entries
        )
        self.emit(f"{variable} = R.coding({where}, {node.text('$translate')!r}, {value.code}{more})")
        return self.defaulted(node, Made(variable, True, True), slot)

    def code(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        """`$code`: the bare code."""
        self.allowed(node, _CODE_KEYS, "a directive of $code")
        if "$translate" not in node.entries:
            node.fail("$translate: the concept map", "none")
        value = self.leaf(node.entries["$code"], JSON, scope)
        where, variable = self.where_of(node.entries["$code"], scope), self.name()
        system = ""
        if "$system" in node.entries:
            system = f", {self.leaf(node.entries['$system'], JSON, scope).code}"
        self.emit(f"{variable} = R.code({where}, {node.text('$translate')!r}, {value.code}{system})")
        return self.defaulted(node, Made(variable, True, True), slot)

    def defaulted(self, node: Fields, made: Made, slot: Slot) -> Made:
        if "$default" not in node.entries:
            return made
        default = node.entries["$default"]
        if not isinstance(default, Scalar) or default.expression is not None:
            default.fail("a constant", describe(default))
        variable = self.name()
        self.emit(f"{variable} = {self.constant_leaf(default, slot)} if {made.code} is None else {made.code}")
        return Made(variable, False, made.data)

    def where_of(self, node: Node, scope: Scope) -> str:
        text = node.expression if isinstance(node, Scalar) else None
        return self.constant(scope.position(text) if text else self.document.name)

    def identifier(self, node: Fields, slot: Slot, scope: Scope) -> Made:
        content = node.entries["$identifier"]
        if not isinstance(content, Fields):
            content.fail("system, value, type, use, check", describe(content))
        self.allowed(content, _IDENTIFIER_KEYS, "a member of $identifier")
        slots = Slot("Identifier").children()
        children: list[tuple[str, Made]] = []
        value: Made | None = None
        for key in ("use", "type", "system", "value", "period", "assigner"):
            if key not in content.entries:
                continue
            item = content.entries[key]
            if key == "type" and isinstance(item, Scalar):
                made = self.identifier_type(item, scope)
            else:
                made = self.child(key, item, slots, "Identifier", scope)
            if key == "value":
                value = made
            children.append((key, made))
        if value is None:
            content.fail("value: the identifier itself", "none")
        variable = self.name("o")
        lacking = [(key, made) for key, made in children if made.may_lack and key != "value"]
        self.emit(f"{variable} = None if {value.code} is None else {self.literal(children)}")
        for key, made in lacking:
            self.emit(f"if {variable} is not None and {made.code} is None: del {variable}[{key!r}]")
        check = content.text("check")
        if check not in ("", "id-card", "uscc", "none"):
            content.entries["check"].fail("id-card, uscc or none", f"{check!r}")
        where = self.where_of(content.entries["value"], scope)
        self.emit(f"{variable} = R.identifier({where}, {check!r}, {variable})")
        return Made(variable, True, True)

    def identifier_type(self, item: Scalar, scope: Scope) -> Made:
        """A bare type is a code of table 0203."""
        if item.expression is None:
            return Made(self.constant({"coding": [{"system": V2_0203, "code": item.text}]}))
        code = self.leaf(item, Slot("code"), scope)
        variable = self.name("o")
        coding = f"{{'coding': [{{'system': {V2_0203!r}, 'code': {code.code}}}]}}"
        self.emit(f"{variable} = None if {code.code} is None else {coding}")
        return Made(variable, True, True)

    def reference(self, node: Fields, scope: Scope) -> Made:
        if "$reference" in node.entries:
            return self.leaf(node.entries["$reference"], Slot("string"), scope)
        target = node.entries["$ref"]
        variable = self.name("r")
        if isinstance(target, Scalar):
            name = target.text
            if name in self.ids:
                type_name, id_variable = self.ids[name]
                prefix = f"{type_name}/"
                self.emit(f"{variable} = None if {id_variable} is None else {prefix!r} + {id_variable}")
                return Made(variable, True, True)
            if name in self.looped:
                target.fail("{type, id}", f"{name!r}, which is named inside a loop")
            target.fail("the $as name of a resource of this document", f"{name!r}")
        if not isinstance(target, Fields) or "type" not in target.entries or "id" not in target.entries:
            target.fail("a name, or {type, id}", describe(target))
        identifier = self.leaf(target.entries["id"], JSON, scope)
        system = ""
        if "system" in target.entries:
            system = f", {self.leaf(target.entries['system'], JSON, scope).code}"
        self.emit(f"{variable} = R.reference({target.text('type')!r}, {identifier.code}{system})")
        return Made(variable, True, True)

    # loops and conditions

    def open_loop(self, node: Fields, scope: Scope) -> Scope:
        source = node.entries["$for"]
        if not isinstance(source, Scalar) or source.expression is None:
            source.fail("an expression", describe(source))
        items, kind = self.expressions.items(source, scope)
        index, item = self.name("n"), self.name("i")
        self.emit(f"outer_{item} = E.get('index')")
        self.emit(f"for {index}, {item} in enumerate({items}):")
        self.depth += 1
        self.emit(f"E['index'] = {index}")
        inner = scope.inside(item, kind)
        inner.texts["$this"] = scope.whole(source.expression)
        inner.locals["index"] = Local(index, "int")
        name = node.text("$as") if "resourceType" not in node.entries else ""
        if name:
            self.emit(f"E[{name!r}] = [{item}]")
            inner.locals[name] = Local(f"text_of({item})", kind, item)
        self.outer.append((item, self.open_group(item, kind)))
        return inner

    def close_loop(self, node: Fields) -> None:
        self.depth -= 1
        item, place = self.outer.pop()
        self.close_group(item, place)
        self.emit(f"E['index'] = outer_{item}")

    def open_when(self, node: Fields, scope: Scope) -> int:
        condition = node.entries.get("$when")
        if condition is None:
            return 0
        if not isinstance(condition, Scalar) or condition.expression is None:
            condition.fail("an expression", describe(condition))
        self.emit(f"if {self.expressions.truth(condition, scope)}:")
        self.depth += 1
        self.emit("pass")
        return 1

    def allowed(self, node: Fields, keys: frozenset[str], what: str) -> None:
        for key, value in node.entries.items():
            if key not in keys:
                value.fail(what, f"{key!r}")


def _fact(run: runtime.Run, key: str, items: list[Any]) -> None:
    """Keep a fact: one value, or a list of several."""
    values = [value for value in map(runtime.text_of, items) if value is not None]
    if values:
        run.facts[key] = values[0] if len(values) == 1 else values


_RUNTIME: dict[str, Any] = {
    "NULL": runtime.NULL,
    "below": runtime.below,
    "fact": _fact,
    "hl": runtime.hl,
    "hl_nodes": runtime.hl_nodes,
    "hl_only": runtime.hl_only,
    "hl_where": runtime.hl_where,
    "inner": runtime.inner,
    "segment": runtime.segment,
    "substring": runtime.substring,
    "text_of": runtime.text_of,
    "txt": runtime.txt,
}
