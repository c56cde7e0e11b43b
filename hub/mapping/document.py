"""Mapping documents as they stand in their files: YAML with every scalar as text, and where it stood.

`NO` stays `NO`, `105.00` stays `105.00`; a document is read once and compiled later (`hub.mapping.compiler`).
Every fault raises Misconfigured with file, line, what was expected and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from hub.errors import Misconfigured

TOP_LEVEL = frozenset(
    [
        "mapping",
        "description",
        "direction",
        "format",
        "kinds",
        "version",
        "event_time",
        "let",
        "facts",
        "resources",
        "message",
        "counter",
        "business_id",
        "headers",
        "kind",
        "ignore",
    ]
)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


class Node(msgspec.Struct, kw_only=True):
    """Something in a file, at a line."""

    file: str
    line: int

    def fail(self, expected: str, found: str = "") -> NoReturn:
        """Raise Misconfigured that points here."""
        tail = f", found {found}" if found else ""
        raise Misconfigured(f"{self.file}:{self.line}: expected {expected}{tail}")


class Scalar(Node, kw_only=True):
    """Text. `plain` is false where it stood in quotes or as a block."""

    text: str
    plain: bool = True

    @property
    def expression(self) -> str | None:
        """The FHIRPath after `= `, or None for a constant."""
        return self.text[2:].strip() if self.text.startswith("= ") else None

    @property
    def is_number(self) -> bool:
        """An unquoted JSON number."""
        return self.plain and _NUMBER.fullmatch(self.text) is not None


class Items(Node, kw_only=True):
    """A list."""

    items: list[Node]


class Fields(Node, kw_only=True):
    """A mapping with text keys, in order."""

    entries: dict[str, Node]

    def text(self, key: str, default: str = "") -> str:
        """The constant text at `key`."""
        node = self.entries.get(key)
        if node is None:
            return default
        if not isinstance(node, Scalar) or node.expression is not None:
            node.fail(f"a constant text for {key!r}", describe(node))
        return node.text


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One mapping document: its header, its content, and the files it was made of."""

    name: str
    folder: str
    path: Path
    direction: str
    format: str
    kinds: tuple[str, ...]
    version: str
    description: str
    root: Fields
    fragments: tuple[Path, ...] = ()


def describe(node: Node) -> str:
    """How a node is called in an error."""
    if isinstance(node, Scalar):
        return f"{node.text[:60]!r}"
    return "a list" if isinstance(node, Items) else "a mapping"


def nearest(word: str, known: Iterable[str]) -> str:
    """` (perhaps 'kinds')`: the known word that somebody may have meant, if there is one."""
    found = get_close_matches(word, known, 1)
    return f" (perhaps {found[0]!r})" if found else ""


def read_yaml(path: Path) -> Node:
    """The node tree of a file, read once for all documents that include it."""
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _parsed(path: Path, modified: int, size: int) -> Node:
    yaml = YAML(typ="safe", pure=True)
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text)
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise Misconfigured(f"{where}: no valid YAML: {getattr(error, 'problem', None) or error}") from None
    if root is None:
        raise Misconfigured(f"{path}:1: expected a mapping document, found an empty file")
    return _convert(root, str(path))


def _convert(node: YamlNode, file: str) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        found = Scalar(file=file, line=line, text=node.value, plain=node.style is None)
        if found.plain and found.text.startswith("=") and found.expression is None:
            found.fail("`= ` before an expression; quote it if it is text", describe(found))
        return found
    if isinstance(node, SequenceNode):
        return Items(file=file, line=line, items=[_convert(item, file) for item in node.value])
    if not isinstance(node, MappingNode):
        raise Misconfigured(f"{file}:{line}: expected text, a list or a mapping")
    entries: dict[str, Node] = {}
    for key, value in node.value:
        key_line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise Misconfigured(f"{file}:{key_line}: expected a text as key")
        if key.value in entries:
            raise Misconfigured(f"{file}:{key_line}: expected every key once, found {key.value!r} again")
        entries[key.value] = _convert(value, file)
    return Fields(file=file, line=line, entries=entries)


def read_document(path: Path) -> Document:
    """A mapping document with its fragments in place."""
    root = read_yaml(path)
    if not isinstance(root, Fields):
        root.fail("a mapping at the top of the document", describe(root))
    fragments: list[Path] = []
    included = _include(root, path, fragments, ())
    assert isinstance(included, Fields)
    for key, node in included.entries.items():
        if key not in TOP_LEVEL:
            node.fail(f"one of {', '.join(sorted(TOP_LEVEL))}{nearest(key, TOP_LEVEL)}", f"the key {key!r}")
    expected = f"{path.parent.name}/{path.name.removesuffix('.yaml')}"
    if included.text("mapping") != expected:
        (included.entries.get("mapping") or included).fail(
            f"mapping: {expected}", included.text("mapping", "nothing")
        )
    direction = included.text("direction", "in")
    if direction not in ("in", "out"):
        included.entries["direction"].fail("in or out", direction)
    if direction == "in" and "kind" in included.entries and "kinds" not in included.entries:
        included.entries["kind"].fail(
            "kinds: the list of what it understands; kind is of what goes out", "kind"
        )
    form = included.text("format", "json" if direction == "out" else "")
    if form not in ("hl7v2", "json", "fhir"):
        included.entries.get("format", included).fail("format: hl7v2, json or fhir", form or "nothing")
    return Document(
        name=expected,
        folder=path.parent.name,
        path=path,
        direction=direction,
        format=form,
        kinds=_kinds(included),
        version=included.text("version", "1"),
        description=included.text("description"),
        root=included,
        fragments=tuple(dict.fromkeys(fragments)),
    )


def _kinds(root: Fields) -> tuple[str, ...]:
    node = root.entries.get("kinds")
    if node is None:
        return ()
    if not isinstance(node, Items) or not all(isinstance(item, Scalar) for item in node.items):
        node.fail("a list of message kinds", describe(node))
    return tuple(item.text for item in node.items if isinstance(item, Scalar))


def _include(node: Node, path: Path, seen: list[Path], inside: tuple[Path, ...]) -> Node:
    """The same tree with every `$include` replaced by the content of its fragment."""
    if isinstance(node, Items):
        items: list[Node] = []
        for item in node.items:
            done = _include(item, path, seen, inside)
            spliced = isinstance(done, Items) and isinstance(item, Fields) and "$include" in item.entries
            items.extend(done.items if spliced and isinstance(done, Items) else [done])
        return Items(file=node.file, line=node.line, items=items)
    if not isinstance(node, Fields):
        return node
    own = {
        key: _include(value, path, seen, inside) for key, value in node.entries.items() if key != "$include"
    }
    if "$include" not in node.entries:
        return Fields(file=node.file, line=node.line, entries=own)
    merged: dict[str, Node] = {}
    for name in _names(node.entries["$include"]):
        fragment = _fragment(name, path)
        if fragment in inside:
            name.fail("fragments that do not include themselves", fragment.name)
        seen.append(fragment)
        content = _include(read_yaml(fragment), fragment, seen, (*inside, fragment))
        if not isinstance(content, Fields):
            if own or isinstance(node.entries["$include"], Items):
                name.fail(
                    f"nothing beside $include, since {fragment.name} is {describe(content)}", ", ".join(own)
                )
            return content
        merged.update(content.entries)
    return Fields(file=node.file, line=node.line, entries={**merged, **own})


def _names(node: Node) -> list[Scalar]:
    """The fragments of an `$include`: one name or a list of them."""
    items = node.items if isinstance(node, Items) else [node]
    names = [item for item in items if isinstance(item, Scalar)]
    if len(names) != len(items) or not names:
        node.fail("the name of a fragment, or a list of names", describe(node))
    return names


def _fragment(name: Scalar, path: Path) -> Path:
    folder, _, base = name.text.rpartition("/")
    home = path.parent.parent / folder if folder else path.parent
    fragment = home / f"{base}.yaml"
    if not base.startswith("_") or not fragment.is_file():
        name.fail("the name of a fragment (_NAME or FOLDER/_NAME)", f"{name.text!r}")
    return fragment
