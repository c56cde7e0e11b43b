"""One Python function per mapping document, written from its tree.

The generated text is plain: evaluate the leaves into names, then build each structure if one of its
expressions yielded something. `Compiled.text` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hub.mapping import directives, readers, runtime
from hub.mapping.document import Document, Fields, Items, Node, Scalar, describe
from hub.mapping.idle import without_idle
from hub.mapping.known import expressions, known_parts
from hub.mapping.scope import Scope
from hub.mapping.shape import JSON, Slot
from hub.mapping.values import RESOURCE_KEYS, Values
from hub.mapping.writing import Made
from hub.r4.definitions import is_type

_GROUP_KEYS = frozenset(["$as", "$when", "$for", "$let", "resources"])

Build = Callable[[Any, dict[str, Any], runtime.Run], Any]


class Compiled(msgspec.Struct, frozen=True):
    """The functions of one document, each (source, env, run): the body, and the scope of the counter.

    `known` are the segments or members it reads or ignores.
    """

    text: str
    map: Build
    counter: Build | None
    known: frozenset[str] = frozenset()


def compile_document(document: Document, *, base: str, fast: bool = True) -> Compiled:
    """Compile; raises Misconfigured with file and line for anything the language does not have."""
    return _Compiler(document, base, fast).compile()


class _Compiler(Values):
    """The document as a whole: bindings, facts, resources, the message."""

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
        text = "\n".join(without_idle(self.lines, self.expressions.asked)) + "\n"
        space = {**_RUNTIME, **self.expressions.names}
        exec(compile(text, f"<mapping {self.document.name}>", "exec"), space)
        known = known_parts(self.document)
        return Compiled(text=text, map=space["build"], counter=space.get("counter"), known=known)

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
            self.emit("R.tags = []")
            self.body(item, type_name, variable, inner)
            self.depth -= 1

        return write

    def loop(self, item: Fields, scope: Scope) -> None:
        type_name = self.type_name(item)
        inner = self.open_loop(item, scope)
        self.emit("R.tags = []")
        self.bindings(item.entries.get("$let"), inner)
        conditional = self.open_when(item, inner)
        if item.text("$existing") == "change":
            self.change(item, type_name, inner)
            self.depth -= conditional
            self.close_loop(item)
            return
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
                candidate.fail("an expression: a constant would be the id of every one", describe(candidate))
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
            item.entries["$existing"].fail("keep or replace; change only beside $for", f"{keep!r}")
        children: list[tuple[str, Made]] = [("id", Made(variable))]
        self.elements(item, type_name, children, scope)
        content = self.dictionary([("resourceType", Made(repr(type_name))), *children])
        name = item.text("$as")
        self.emit(f"R.add({type_name!r}, {variable}, {content}, {name!r}, {keep == 'keep'})")

    def change(self, item: Fields, type_name: str, scope: Scope) -> None:
        """`$existing: change`: elements for the one stored resource that `$find` finds."""
        find = item.entries.get("$find")
        if not isinstance(find, Fields) or "$id" in item.entries:
            item.fail("$find: search parameters with expressions, and no $id, beside $existing: change")
        criteria = [
            (key, directives.reference(self, node, scope))
            if isinstance(node, Fields)
            else (key, self.leaf(node, JSON, scope))
            for key, node in find.entries.items()
        ]
        texts = [node.expression or "" for node in find.entries.values() if isinstance(node, Scalar)]
        where = self.constant(scope.position(" | ".join(texts)))
        children: list[tuple[str, Made]] = []
        self.elements(item, type_name, children, scope)
        content = self.dictionary(children)
        self.emit(
            f"R.change({type_name!r}, {where}, {self.literal(criteria)}, {content}, {item.text('$as')!r})"
        )

    def elements(self, item: Fields, type_name: str, children: list[tuple[str, Made]], scope: Scope) -> None:
        """The elements of a resource, added to `children`."""
        slots = Slot(type_name).children()
        for key, value in item.entries.items():
            if key == "resourceType" or key in RESOURCE_KEYS:
                continue
            if any("%built" in text for text in expressions(value)):
                self.emit(f"E['built'] = [{self.dictionary(children)}]")
            children.append((key, self.child(key, value, slots, type_name, scope)))


def _fact(run: runtime.Run, key: str, items: list[Any]) -> None:
    """Keep a fact: one value as it is (text, number, boolean, structure, list), or a list of several."""
    found = [runtime.text_of(item) for item in items if item is not runtime.NULL]
    values = [value for value in found if value is not None]
    if values:
        run.facts[key] = values[0] if len(values) == 1 else values


_RUNTIME: dict[str, Any] = {
    "NULL": runtime.NULL,
    "below": readers.below,
    "fact": _fact,
    "rounded": readers.rounded,
    "times": readers.times,
    "hl": readers.hl,
    "first_of": readers.first_of,
    "hl_every": readers.hl_every,
    "hl_nodes": readers.hl_nodes,
    "hl_only": readers.hl_only,
    "hl_where": readers.hl_where,
    "inner": readers.inner,
    "segment": readers.segment,
    "substring": readers.substring,
    "text_of": runtime.text_of,
    "txt": readers.txt,
}
