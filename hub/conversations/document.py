"""Conversation documents: what starts one, its steps, how each is confirmed and undone.

A document `mappings/<set>/<name>.conversation.yaml` is named `<set>/<name>`. Text starting with `= ` is
FHIRPath; in conditions the context is the focus (the resource that started it), with %facts, %settings
and %unknown (the unanswered delivery). docs/reference/conversations.md describes every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hub import fhirpath
from hub.errors import Misconfigured

Mode = Literal["ask", "resend", "adapter", "person"]
SUFFIX = ".conversation.yaml"


class Repeat(msgspec.Struct, frozen=True):
    """Ask again every so often until the condition holds."""

    every: str
    until: fhirpath.Expression


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery: the outbound mapping, the mapping of its reply, and what an unanswered one means."""

    name: str
    send: str
    reply: str = ""
    effect: bool = True
    idempotent: bool = False
    skip: fhirpath.Expression | None = None
    repeat: Repeat | None = None
    unknown: Unknown | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """What to do when nobody knows whether a step took effect.

    ask      questions until `found`; after `horizon` seconds `undo`, then with `again` the step anew
    resend   harmless to do twice: anew, with fresh bytes
    adapter  `Adapter.confirm` decides
    person   it waits for somebody
    """

    mode: Mode
    asks: tuple[Step, ...] = ()
    found: fhirpath.Expression | None = None
    every: str = "1"
    horizon: str = "0"
    undo: Step | None = None
    again: bool = False


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation document."""

    name: str
    resource: str
    when: fhirpath.Expression | None
    key: fhirpath.Expression | None
    order: fhirpath.Expression | None
    steps: tuple[Step, ...]
    description: str = ""

    def every_step(self) -> Iterator[Step]:
        """The steps with their questions and what undoes them."""
        for step in self.steps:
            yield step
            if step.unknown is not None:
                yield from step.unknown.asks
                if step.unknown.undo is not None:
                    yield step.unknown.undo

    def position(self, step: str) -> int:
        """Where a named step stands; Misconfigured if the document lost it since."""
        for index, one in enumerate(self.steps):
            if one.name == step:
                return index
        raise Misconfigured(f"conversation {self.name}: there is no step {step!r} any more")


def load(folders: Iterable[Path]) -> dict[str, Document]:
    """Every conversation document below the given `mappings` folders, by full name."""
    found: dict[str, Document] = {}
    for folder in folders:
        for file in sorted(folder.glob(f"*/*{SUFFIX}")):
            document = read(file)
            found[document.name] = document
    return found


def read(file: Path) -> Document:
    """One document; Misconfigured names file, key, what was expected and what came."""
    try:
        raw = YAML(typ="base", pure=True).load(file.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise Misconfigured(f"{file}: not valid YAML: {error}") from error
    reader = _Reader(str(file))
    table = reader.table(raw, "document")
    name = reader.text(table, "conversation")
    if name != file.name.removesuffix(SUFFIX):
        raise Misconfigured(
            f"{file}: conversation: expected {file.name.removesuffix(SUFFIX)!r}, found {name!r}"
        )
    trigger = reader.table(table.get("trigger"), "trigger", {"resource", "when"})
    reader.known(table, "document", {"conversation", "description", "trigger", "key", "order", "steps"})
    steps = tuple(reader.step(one) for one in reader.rows(table, "steps"))
    names = [step.name for step in steps]
    if len(set(names)) != len(names):
        raise Misconfigured(f"{file}: steps: two have the same name: {names}")
    return Document(
        name=f"{file.parent.name}/{name}",
        resource=reader.text(trigger, "resource"),
        when=reader.expression(trigger, "when"),
        key=reader.expression(table, "key"),
        order=reader.expression(table, "order"),
        steps=steps,
        description=str(table.get("description", "")),
    )


class _Reader:
    """Turns plain YAML into the structs above, or says what is wrong where."""

    def __init__(self, file: str) -> None:
        self.file = file

    def wrong(self, key: str, expected: str, found: object) -> Misconfigured:
        return Misconfigured(f"{self.file}: {key}: expected {expected}, found {found!r}")

    def table(self, value: Any, key: str, allowed: set[str] | None = None) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(key, "a mapping", value)
        if allowed is not None:
            self.known(value, key, allowed)
        return value

    def known(self, table: dict[str, Any], where: str, allowed: set[str]) -> None:
        for key in table:
            if key not in allowed:
                raise self.wrong(f"{where}.{key}", f"one of {sorted(allowed)}", key)

    def rows(self, table: dict[str, Any], key: str) -> list[Any]:
        value = table.get(key)
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "a list with at least one entry", value)
        return value

    def text(self, table: dict[str, Any], key: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        return value

    def flag(self, table: dict[str, Any], key: str, default: bool) -> bool:
        value = table.get(key, "true" if default else "false")
        if value not in ("true", "false"):
            raise self.wrong(key, "true or false", value)
        return bool(value == "true")

    def expression(self, table: dict[str, Any], key: str) -> fhirpath.Expression | None:
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.startswith("= "):
            raise self.wrong(key, "FHIRPath after `= `", value)
        try:
            return fhirpath.compile(value[2:])
        except ValueError as error:
            raise Misconfigured(f"{self.file}: {key}: {error}") from error

    def step(self, raw: Any) -> Step:
        allowed = {"step", "send", "reply", "effect", "idempotent", "skip", "repeat", "unknown"}
        table = self.table(raw, "steps", allowed)
        return Step(
            name=self.text(table, "step"),
            send=self.text(table, "send"),
            reply=self.text(table, "reply", ""),
            effect=self.flag(table, "effect", True),
            idempotent=self.flag(table, "idempotent", False),
            skip=self.expression(table, "skip"),
            repeat=self.repeat(table.get("repeat")),
            unknown=self.unknown(table.get("unknown")),
        )

    def repeat(self, raw: Any) -> Repeat | None:
        if raw is None:
            return None
        table = self.table(raw, "repeat", {"every", "until"})
        until = self.expression(table, "until")
        if until is None:
            raise self.wrong("repeat.until", "FHIRPath after `= `", None)
        return Repeat(self.text(table, "every"), until)

    def unknown(self, raw: Any) -> Unknown | None:
        if raw is None:
            return None
        if raw == "resend" or raw == "adapter" or raw == "person":
            return Unknown(mode=raw)
        table = self.table(raw, "unknown", {"ask", "found", "every", "horizon", "undo", "again"})
        asks = tuple(self.question(one) for one in self.rows(table, "ask"))
        found = self.expression(table, "found")
        if found is None:
            raise self.wrong("unknown.found", "FHIRPath after `= `", None)
        undo = table.get("undo")
        return Unknown(
            mode="ask",
            asks=asks,
            found=found,
            every=self.text(table, "every", "1"),
            horizon=self.text(table, "horizon", "0"),
            undo=self.step(undo) if undo is not None else None,
            again=self.flag(table, "again", False),
        )

    def question(self, raw: Any) -> Step:
        return self.step({**self.table(raw, "unknown.ask"), "effect": "false"})
