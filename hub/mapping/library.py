"""Every mapping document of an installation, by name and by message kind."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, KeysView, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hub.errors import InvalidMessage, Issue, Misconfigured
from hub.mapping import hl7v2
from hub.mapping.charset import decode
from hub.mapping.compiler import Compiled, compile_document
from hub.mapping.document import Document, Fields, Items, Node, Scalar, read_document
from hub.mapping.known import unknown_parts
from hub.mapping.runtime import BASE, Change, Context, MappedResource, Run, encode
from hub.terminology.maps import ConceptMap, read_map

SHARED = "shared"
"""Concept maps in this folder are known to every set by their bare name."""

NOTHING: KeysView[str] = {}.keys()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKUP = re.compile(r"lookup\(\s*'([^']+)'")
_from_json = msgspec.json.Decoder(float_hook=Decimal).decode


class Mapped(msgspec.Struct, kw_only=True):
    """What a message became.

    facts       kept by the conversation          event_time  microseconds since the epoch, 0 if unknown
    unmapped    (concept map, system, code)       issues      warnings; errors are raised instead
    changes     new elements for resources that are stored already
    """

    resources: list[MappedResource]
    issues: list[Issue]
    facts: dict[str, Any]
    event_time: int
    kind: str
    unmapped: list[tuple[str, str, str]]
    mapping_hash: bytes
    changes: list[Change] = []


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out: the bytes, our own id inside them, and what the protocol needs beside them."""

    body: bytes
    kind: str
    business_id: str = ""
    headers: dict[str, str] = {}
    content_type: str = "application/json"
    issues: tuple[Issue, ...] = ()
    mapping_hash: bytes = b""


class Mapping:
    """One document, compiled at its first use (once per canonical base)."""

    def __init__(self, document: Document, library: Mappings) -> None:
        self.document = document
        self.name = document.name
        self.kinds = document.kinds
        self._library = library
        self._compiled: dict[str, Compiled] = {}
        self._maps: dict[str, dict[str, ConceptMap]] = {}
        self._hash = b""

    @property
    def hash(self) -> bytes:
        """16 bytes over the document, its fragments and the concept maps it names."""
        if not self._hash:
            paths = [self.document.path, *self.document.fragments]
            names = sorted(set(_map_names(self.document.root)))
            paths += [path for name in names if (path := self._library.map_path(self.document.folder, name))]
            digest = hashlib.blake2b(digest_size=16)
            for path in paths:
                content = path.read_bytes()
                digest.update(len(content).to_bytes(8, "big") + content)
            self._hash = digest.digest()
        return self._hash

    def compiled(self, base: str = BASE) -> Compiled:
        """The generated functions; raises Misconfigured with file and line."""
        found = self._compiled.get(base)
        if found is None:
            for name in _map_names(self.document.root):
                if self._library.map_path(self.document.folder, name) is None:
                    raise Misconfigured(
                        f"{self.document.path}: expected the concept map {name!r}, found none"
                    )
            found = self._compiled[base] = compile_document(self.document, base=base)
        return found

    def _run(self, context: Context) -> tuple[Compiled, Run]:
        base = context.env.get("base") or BASE
        compiled = self.compiled(base)
        maps = self._maps.get(base)
        if maps is None:
            names = _map_names(self.document.root)
            maps = self._maps[base] = self._library.maps(self.document.folder, names, base)
        return compiled, Run(self.name, base, maps, context)

    def map(self, source: Any, context: Context) -> Mapped:
        """A message (bytes, or a tree already read) to resources and facts.

        Raises InvalidMessage with positions; sees no clock.
        """
        compiled, run = self._run(context)
        tree = self.read(source, context)
        run.env["message"] = [tree]
        if isinstance(tree, hl7v2.Hl7Message):
            run.zone = run.env["zone"] = tree.zone() or run.zone
        for warning in getattr(tree, "warnings", ()):
            run.issues.append(Issue(severity="warning", code="value", diagnostics=warning))
        compiled.map(tree, run.env, run)
        unknown = self._parts(tree) - compiled.known
        if unknown:
            parts = [part for part in self._parts(tree) if part in unknown and _says(tree, part)]
            run.issues += unknown_parts(self.document, parts)
        mapped = Mapped(
            resources=run.resources,
            issues=run.issues,
            facts=run.facts,
            event_time=_micros(run.event_time, run.zone),
            kind=tree.kind if isinstance(tree, hl7v2.Hl7Message) else next(iter(self.kinds), self.name),
            unmapped=run.unmapped,
            mapping_hash=self.hash,
            changes=run.changes,
        )
        run.env.clear()
        if isinstance(tree, hl7v2.Hl7Message) and tree is not source:
            tree.forget()
        return mapped

    def _parts(self, tree: Any) -> KeysView[str]:
        """The segment ids of an HL7 v2 message, the members of a JSON object."""
        if isinstance(tree, hl7v2.Hl7Message):
            return tree.ids()
        return tree.keys() if isinstance(tree, dict) and self.document.format == "json" else NOTHING

    def read(self, source: Any, context: Context) -> Any:
        """The source as a tree: bytes are decoded by the document's format."""
        if not isinstance(source, bytes):
            return source
        if self.document.format == "hl7v2":
            return hl7v2.parse(source, context.charset)
        return read_json(source, context.charset)

    def counter_scope(self, source: Any, context: Context) -> str:
        """What the durable counter behind %delivery.number counts for; empty: the channel."""
        compiled, run = self._run(context)
        if compiled.counter is None:
            return ""
        tree = self.read(source, context)
        run.env["message"] = [tree]
        found = compiled.counter(tree, run.env, run)
        return "" if found is None else str(found)

    def render(self, source: Any, context: Context) -> Rendered:
        """Resources and facts to another system's message; the source is the focus resource as a tree."""
        compiled, run = self._run(context)
        tree = self.read(source, context)
        run.env["message"] = [tree]
        run.env.setdefault("resource", tree)
        out = compiled.map(tree, run.env, run)
        headers = {key: str(value) for key, value in (out.get("headers") or {}).items() if value is not None}
        return Rendered(
            body=encode(out["message"]),
            kind=str(out.get("kind") or self.name.rpartition("/")[2]),
            business_id=str(out.get("business_id") or ""),
            headers=headers,
            content_type="application/fhir+json" if self.document.format == "fhir" else "application/json",
            issues=tuple(run.issues),
            mapping_hash=self.hash,
        )


class Mappings:
    """All documents of some folders. Each folder holds sets; a set holds documents, maps and samples.

    The documents of a set are read when the first of them is asked for.
    """

    def __init__(self) -> None:
        self._unread: dict[str, list[Path]] = {}
        self._documents: dict[str, Mapping] = {}
        self._kinds: dict[tuple[str, str], Mapping] = {}
        self._map_paths: dict[str, Path] = {}
        self._map_cache: dict[tuple[Path, str], ConceptMap] = {}
        self.folders: list[Path] = []
        self._failed: dict[str, Misconfigured] = {}

    @property
    def failed(self) -> dict[str, Misconfigured]:
        """Documents that could not be read, by full name: they stop nobody but those who ask for them."""
        self.read(self.sets)
        return self._failed

    def for_kind(self, set_name: str, kind: str) -> Mapping | None:
        """The inbound document of a set that understands a message kind, or None.

        Raises Misconfigured where none does but a document of the set could not be read.
        """
        self.read([set_name])
        found = self._kinds.get((set_name, kind))
        if found is None:
            for name, error in self._failed.items():
                if name.startswith(f"{set_name}/"):
                    raise error
        return found

    def named(self, name: str) -> Mapping:
        """The document `set/name`; raises Misconfigured if there is none."""
        self.read([name.partition("/")[0]])
        found = self._documents.get(name)
        if name in self._failed:
            raise self._failed[name]
        if found is None:
            raise Misconfigured(f"expected a mapping document {name!r} in {self._where()}, found none")
        return found

    def __iter__(self) -> Any:
        self.read(self.sets)
        return iter(self._documents.values())

    @property
    def sets(self) -> frozenset[str]:
        """The names of all sets, also of one whose only document could not be read."""
        broken = {name.partition("/")[0] for name in self._failed}
        read = {one.document.folder for one in self._documents.values()}
        return frozenset(broken | read | self._unread.keys())

    def has_set(self, set_name: str) -> bool:
        """Whether a set of that name holds documents."""
        self.read([set_name])
        return any(document.document.folder == set_name for document in self._documents.values())

    def read(self, sets: Iterable[str]) -> None:
        """Read the documents of these sets now, those that were not."""
        for name in sorted(sets):
            for path in self._unread.pop(name, ()):
                try:
                    self._document(path)
                except Misconfigured as error:
                    self._failed[f"{name}/{path.name.removesuffix('.yaml')}"] = error

    def check(self) -> None:
        """Compile everything; raises the first Misconfigured."""
        for error in self.failed.values():
            raise error
        for mapping in self._documents.values():
            mapping.compiled()

    def map_path(self, folder: str, name: str) -> Path | None:
        """The file of a concept map: of the set, `other/name`, or shared."""
        for candidate in (f"{folder}/{name}", name, f"{SHARED}/{name}"):
            if candidate in self._map_paths:
                return self._map_paths[candidate]
        return None

    def maps(self, folder: str, names: Sequence[str], base: str) -> dict[str, ConceptMap]:
        """The named concept maps as a set sees them."""
        found: dict[str, ConceptMap] = {}
        for name in names:
            path = self.map_path(folder, name)
            if path is not None:
                if (path, base) not in self._map_cache:
                    self._map_cache[path, base] = read_map(path, base=base)
                found[name] = self._map_cache[path, base]
        return found

    def add(self, folder: Path) -> None:
        """Take in every set below a folder."""
        self.folders.append(folder)
        for set_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
            for path in sorted(set_folder.glob("*.map.csv")):
                name = f"{set_folder.name}/{path.name.removesuffix('.map.csv')}"
                self._once(self._map_paths, name, path, path)
            for path in sorted(set_folder.glob("*.yaml")):
                if not path.name.startswith("_") and not path.name.endswith(".conversation.yaml"):
                    self._unread.setdefault(set_folder.name, []).append(path)

    def _document(self, path: Path) -> None:
        document = read_document(path)
        mapping = Mapping(document, self)
        self._once(self._documents, document.name, mapping, path)
        for kind in document.kinds:
            other = self._kinds.get((document.folder, kind))
            if other is not None:
                raise Misconfigured(
                    f"{path}: expected kinds of its own, found {kind!r}, which {other.name} maps"
                )
            self._kinds[document.folder, kind] = mapping

    def _once(self, table: dict[str, Any], name: str, value: Any, path: Path) -> None:
        if name in table:
            raise Misconfigured(f"{path}: expected a name of its own, found {name!r} a second time")
        table[name] = value

    def _where(self) -> str:
        return ", ".join(str(folder) for folder in self.folders) or "no folder at all"


def load(folders: Sequence[Path]) -> Mappings:
    """Every set below the folders; a document that is broken is kept in `failed`."""
    mappings = Mappings()
    for folder in folders:
        mappings.add(folder)
    return mappings


def read_json(body: bytes, charset: str = "") -> Any:
    """JSON with decimals kept; the bytes may be UTF-8 or GB18030."""
    try:
        return _from_json(decode(body, charset).text)
    except msgspec.DecodeError as error:
        raise InvalidMessage(f"no valid JSON: {error}") from None
    except RecursionError:
        raise InvalidMessage("no valid JSON: nested too deeply") from None


def _says(tree: Any, part: str) -> bool:
    """Whether there is anything in a part of a message: a segment is a line, a member may be empty."""
    return not isinstance(tree, dict) or tree[part] not in (None, "", [], {})


def _micros(value: Any, zone: tzinfo) -> int:
    """A FHIR date or dateTime, its first instant, in microseconds since the epoch."""
    if value is None:
        return 0
    text = str(value)
    try:
        moment = datetime.fromisoformat(text + "0000-01-01"[len(text) :] if len(text) < 10 else text)
    except ValueError:
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _map_names(node: Node) -> list[str]:
    """Every concept map a document names."""
    found: list[str] = []
    if isinstance(node, Scalar) and node.expression is not None:
        found += _LOOKUP.findall(node.text)
    elif isinstance(node, Items):
        for item in node.items:
            found += _map_names(item)
    elif isinstance(node, Fields):
        for key, value in node.entries.items():
            if key == "$translate" and isinstance(value, Scalar):
                found.append(value.text)
            else:
                found += _map_names(value)
    return list(dict.fromkeys(found))
