"""`hub map run` and `hub map test`: mapping documents by themselves, without a hub or a database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hub import mapping, r4
from hub import settings as settings_file
from hub.app import mapping_folders
from hub.cli import show
from hub.errors import Misconfigured, NotSupported
from hub.mapping import Mapping, Mappings, check, hl7v2


def run(config: Path | None, name: str, source: Path, system: str) -> int:
    """Map one file and print the Bundle it becomes, or, outwards, the message; 1 if it is no valid R4."""
    settings = settings_file.load(config)
    try:
        body = source.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{source}: cannot be read: {error.strerror}") from None
    document = _document(mapping.load(mapping_folders(settings)), name, body)
    found = check.run(document, source, system=system or document.document.folder)
    print(msgspec.json.format(r4.untree(found), indent=2).decode())
    return int(check.is_faulty(found))


def test(config: Path | None, names: list[str], *, as_json: bool) -> int:
    """Print every sample that is not as expected, and how many are; 1 if one is not."""
    folders = mapping_folders(settings_file.load(config))
    found = [one for name in names or [""] for one in check.test(folders, only=name)]
    if not found:
        raise Misconfigured(f"no mapping is named {' or '.join(names)}" if names else "there are no mappings")
    if as_json:
        rows = [
            {"mapping": one.mapping, "sample": one.sample, "ok": one.ok, "differences": list(one.differences)}
            for one in found
        ]
        show.rows(rows, (), as_json=True)
    else:
        for one in found:
            for difference in one.differences:
                print(f"{one.sample or one.mapping}: {difference}")
        print(f"{sum(one.ok for one in found)} of {len(found)} as expected")
    return 0 if all(one.ok for one in found) else 1


def _document(mappings: Mappings, name: str, body: bytes) -> Mapping:
    """`folder/document`, or of a folder the document that understands this message's kind."""
    if "/" in name or not mappings.has_set(name):
        return mappings.named(name)
    if not body.lstrip().startswith(b"MSH"):
        raise Misconfigured(f"{name} is a folder: only an HL7 v2 message says its kind; name folder/document")
    kind = hl7v2.header(body).kind
    found = mappings.for_kind(name, kind)
    if found is None:
        raise NotSupported(f"no document of {name} maps {kind}")
    return found
