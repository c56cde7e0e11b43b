"""`hub map run` and `hub map test`: mapping documents by themselves, without a hub or a database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from hub import mapping
from hub import settings as settings_file
from hub.app import mapping_folders
from hub.errors import Issue, Misconfigured, NotSupported
from hub.mapping import Context, Mapped, Mapping, Mappings, hl7v2
from hub.settings import Settings


def run(config: Path | None, name: str, source: Path, system: str) -> int:
    """Map one message and print a transaction Bundle (or, outwards, the message); issues go to stderr."""
    settings = settings_file.load(config)
    try:
        body = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{source}: cannot be read: {error.strerror}") from None
    document = _document(mapping.load(mapping_folders(settings)), name, body)
    context = _context(settings, system or document.name.partition("/")[0])
    if document.document.direction == "out":
        sys.stdout.buffer.write(document.render(body, context).body + b"\n")
        return 0
    mapped = document.map(body, context)
    for issue in mapped.issues:
        print(_line(issue), file=sys.stderr)
    sys.stdout.buffer.write(_bundle(mapped) + b"\n")
    return 0


def _document(mappings: Mappings, name: str, body: bytes) -> Mapping:
    """`folder/document`, or of a folder the document that understands this message's kind."""
    if "/" in name or not mappings.has_set(name):
        return mappings.named(name)
    if not body.lstrip().startswith(b"MSH"):
        raise Misconfigured(
            f"{name} is a folder, and only an HL7 v2 message says its kind; name folder/document"
        )
    kind = hl7v2.header(body).kind
    found = mappings.for_kind(name, kind)
    if found is None:
        raise NotSupported(f"no document of {name} maps {kind}")
    return found


def _context(settings: Settings, system: str) -> Context:
    return Context(
        system=system,
        hub_key=settings.key_bytes,
        zone=settings.zone,
        env={"base": settings.canonical, "settings": {}, "facts": {}},
        charset="",
        content_type="",
    )


def _bundle(mapped: Mapped) -> bytes:
    """A transaction that would store the resources under their ids."""
    entries = [
        {
            "fullUrl": f"{one.type}/{one.id}",
            "resource": msgspec.Raw(one.body),
            "request": {"method": "PUT", "url": f"{one.type}/{one.id}"},
        }
        for one in mapped.resources
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    if not entries:
        del bundle["entry"]
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2)


def _line(issue: Issue) -> str:
    place = f" at {issue.expression}" if issue.expression else ""
    return f"{issue.severity}: {issue.diagnostics}{place}"
