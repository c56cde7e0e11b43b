"""TestScripts as files: the hub's own package, or any folder of them (http://hl7.org/fhir/R4/testscript.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub import content, r4
from hub.errors import InvalidResource, Misconfigured, NotSupported

MAX_FILE_BYTES = 8_000_000
_LOCAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*\Z")


@dataclass(frozen=True)
class Script:
    """A TestScript, and the folders where the files of its fixtures lie."""

    resource: dict[str, Any]
    folders: Sequence[Path] = ()

    @property
    def id(self) -> str:
        """Its id, by which `--suite` names it."""
        return str(self.resource.get("id") or self.resource["name"])

    def fixture(self, reference: str) -> dict[str, Any]:
        """The resource that a fixture refers to: contained (`#x`), or a file of this package.

        `Patient/example` is the file Patient/example.json or Patient-example.json. Raises NotSupported for
        an absolute URL and Misconfigured where nothing is found.
        """
        if reference.startswith("#"):
            for one in self.resource.get("contained", []):
                if one.get("id") == reference[1:]:
                    return dict(one)
            raise Misconfigured(f"the fixture {reference}: nothing is contained by that id")
        if not _LOCAL.match(reference):
            raise NotSupported(
                "a fixture is contained or a file of the package; other addresses are not read"
            )
        for file in self._files(reference):
            if file.is_file():
                return read_tree(file)
        raise Misconfigured(f"the fixture {reference}: no such file beside the script")

    def _files(self, reference: str) -> Iterator[Path]:
        for folder in self.folders:
            for name in (reference, f"{reference}.json", f"{reference.replace('/', '-')}.json"):
                file = (folder / name).resolve()
                if file.is_relative_to(folder.resolve()):
                    yield file


def read(names: Sequence[str] = ()) -> list[Script]:
    """The TestScripts of the hub's package, or those named by id, file or folder. Raises Misconfigured."""
    own = folder_scripts(content.conformance() / "testscripts")
    if not names:
        return own
    found: list[Script] = []
    for name in names:
        mine = [script for script in own if script.id == name]
        found += mine or _elsewhere(name, own)
    return found


def _elsewhere(name: str, own: Sequence[Script]) -> list[Script]:
    path = Path(name)
    if path.is_dir():
        found = folder_scripts(path)
        if found:
            return found
        raise Misconfigured(f"{name}: expected TestScript resources as *.json in this folder, found none")
    if path.is_file():
        resource = read_resource(path)
        if resource.get("resourceType") == "TestScript":
            return [Script(resource, _folders(path))]
        raise Misconfigured(f"{name}: expected a TestScript, found another resource")
    known = ", ".join(script.id for script in own)
    raise Misconfigured(f"no suite is named {name!r}: expected one of {known}, or a file or folder")


def folder_scripts(folder: Path) -> list[Script]:
    """Every TestScript that lies directly in a folder, by file name."""
    found = ((file, read_resource(file)) for file in sorted(folder.glob("*.json")))
    return [Script(one, _folders(file)) for file, one in found if one.get("resourceType") == "TestScript"]


def _folders(file: Path) -> tuple[Path, ...]:
    """Beside the script, and the package that its folder belongs to."""
    beside = file.resolve().parent
    return (beside, beside.parent) if (beside.parent / "package.json").is_file() else (beside,)


def read_resource(file: Path) -> dict[str, Any]:
    """A resource of a file, as a plain tree that is valid R4. Raises Misconfigured that names the file."""
    tree = read_tree(file)
    try:
        r4.decode(r4.untree(tree))
    except InvalidResource as error:
        where = error.issues[0].expression
        raise Misconfigured(f"{file}: expected a valid R4 resource: {where}: {error}") from None
    return tree


def read_tree(file: Path) -> dict[str, Any]:
    """A resource of a file, which may be invalid: some fixtures are there for that. Raises Misconfigured."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise Misconfigured(f"{file}: expected at most {MAX_FILE_BYTES} bytes")
        tree = r4.tree(file.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from None
    except InvalidResource:
        raise Misconfigured(f"{file}: expected a resource in JSON") from None
    if not r4.is_type(str(tree.get("resourceType"))):
        raise Misconfigured(f"{file}: expected a resource with a resourceType of R4")
    return tree
