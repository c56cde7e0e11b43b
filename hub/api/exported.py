"""Bulk exports that were begun: how far one is, its files, its end, http://hl7.org/fhir/uv/bulkdata/export.html"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from hub import clock, security
from hub.api import negotiation, outcome
from hub.api.exchange import Answer, Api, Ask, Interaction
from hub.api.operations.export import FILE_PATH, STATUS_PATH
from hub.errors import Issue, NotFound
from hub.exports import Asked, Exports, Progress, decoded
from hub.store import exports
from hub.store.exports import Row

LINES = "application/fhir+ndjson"
_UNKNOWN = "there is no such export: it was cancelled, or its files were removed after their time"


async def status(api: Api, ask: Ask) -> Answer:
    """202 while it waits or runs, 200 with the manifest, 500 for one that failed; 404."""
    row = await _row(api, ask, STATUS_PATH)
    progress = decoded(row.progress, Progress)
    if row.state == exports.FAILED:
        issue = Issue(code="exception", diagnostics=f"the export failed: {row.error}")
        return Answer(status=500, body=outcome.render([issue]), about=row.id)
    if row.state != exports.DONE:
        pause = min(max((api.now() - row.created) // 10_000_000, 1), 30)
        told = (("x-progress", _told(row, progress)), ("retry-after", str(pause)))
        return Answer(status=202, headers=told, about=row.id)
    keep = _set_up(api).keep_micros
    return Answer(
        body=msgspec.json.encode(_manifest(api, ask, row, progress)),
        media="application/json",
        headers=(("expires", negotiation.http_date(row.ended + keep).decode()),),
        about=row.id,
    )


async def cancel(api: Api, ask: Ask) -> Answer:
    """202: it is forgotten, and so are its files; 404."""
    row = await _row(api, ask, STATUS_PATH)
    if not await _set_up(api).cancel(row.id):
        raise NotFound(_UNKNOWN)
    issue = Issue(
        severity="information", code="informational", diagnostics="the export and its files are gone"
    )
    return Answer(status=202, body=outcome.render([issue]), about=row.id)


async def file(api: Api, ask: Ask) -> Answer:
    """200 with the lines of a file; 404."""
    name = ask.name
    row = await _row(api, ask, FILE_PATH)
    found = [one for one in decoded(row.progress, Progress).files if one.name == name]
    if row.state != exports.DONE or not found:
        raise NotFound("this export has no such file")
    path = _set_up(api).folder_of(row.id) / found[0].name
    if not await asyncio.to_thread(path.is_file):
        raise NotFound(
            "the file is not in the export folder of this hub; several processes must share one folder"
        )
    return Answer(media=LINES, file=(path, found[0].size), about=f"{row.id} {found[0].name}")


def _told(row: Row, progress: Progress) -> str:
    """For people."""
    if row.state == exports.WAITING:
        return "waiting"
    types = decoded(row.asked, Asked).types
    at = types[min(progress.place, len(types) - 1)]
    return f"{progress.resources} written, at {at} ({progress.place + 1} of {len(types)} types)"


def _manifest(api: Api, ask: Ask, row: Row, progress: Progress) -> dict[str, Any]:
    base = f"{api.base}/{FILE_PATH}/{row.id}"
    listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": []}
    for one in progress.files:
        type_name = one.type if one.kind == "output" else "Bundle"
        listed[one.kind].append({"type": type_name, "url": f"{base}/{one.name}", "count": one.count})
    return {
        "transactionTime": clock.instant(row.moment),
        "request": row.request,
        "requiresAccessToken": ask.caller != security.OPEN,
        "output": listed["output"],
        "deleted": listed["deleted"],
        "error": [],
    }


async def _row(api: Api, ask: Ask, path: str) -> Row:
    """The export that is asked for, if it is this organisation's. The audit row names the operation."""
    id, ask.id, ask.name = ask.id, "", path[1:]
    row = await exports.load(api.reader, id)
    if row is None or row.organisation != ask.caller.organisation:
        raise NotFound(_UNKNOWN)
    return row


def _set_up(api: Api) -> Exports:
    if api.exports is None:
        raise NotFound("bulk exports are not set up at this hub")
    return api.exports


STATUS = Interaction("export-status", "operation", status)
CANCEL = Interaction("export-cancel", "operation", cancel)
FILE = Interaction("export-file", "operation", file)
