"""$meta, $meta-add, $meta-delete: profiles, tags and security labels.

http://hl7.org/fhir/R4/resource-operation-meta.html, -meta-add.html and -meta-delete.html. R4 leaves open
whether a change of labels makes a version; here it does, so that an ETag stands for one content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hub import r4
from hub.api import body, drafts, raw_parameters
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.outcome import BadRequest
from hub.api.read import read
from hub.api.vread import vread
from hub.errors import Gone, InvalidResource, Issue, NotFound, PreconditionFailed
from hub.store import labels, resources
from hub.store.backend import Tx
from hub.store.resources import Written

NAMES = ("profile", "tag", "security")
ATTEMPTS = 10
"""How often a change is tried again when somebody else writes in between."""

Raws = list[msgspec.Raw]
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(Raws).decode
_json = msgspec.json.Encoder()


class _Coding(msgspec.Struct):
    system: str = ""
    code: str = ""


_coding = msgspec.json.Decoder(_Coding).decode


async def meta(api: Api, ask: Ask) -> Answer:
    """200 with the meta of a resource or version; of a type or everything, the labels in use."""
    if ask.id:
        answer = await (vread if ask.version else read)(api, ask)
        answer.body = _returned(_meta_of(answer.body)) if answer.body else b""
        return answer
    types = [ask.type] if ask.type else sorted(r4.TYPES)
    found: dict[str, dict[Any, msgspec.Raw]] = {name: {} for name in NAMES}
    for type_name in types:
        for raw in await labels.metas(api.reader, api.store.known, type_name):
            for name, values in _labels(raw).items():
                for value in values:
                    found[name].setdefault(_identity(value), value)
    return Answer(body=_returned(_json.encode({n: list(v.values()) for n, v in found.items() if v})))


async def meta_add(api: Api, ask: Ask) -> Answer:
    """200 with the resulting meta; a label that is there already changes nothing."""
    return await _changed(api, ask, _added)


async def meta_delete(api: Api, ask: Ask) -> Answer:
    """200 with the resulting meta; a label that is not there is no error."""
    return await _changed(api, ask, _without)


Change = Callable[[Raws, Raws], Raws]


def _added(old: Raws, given: Raws) -> Raws:
    known = {_identity(one) for one in old}
    new: dict[Any, msgspec.Raw] = {}
    for one in given:
        if _identity(one) not in known:
            new.setdefault(_identity(one), one)
    return [*old, *new.values()]


def _without(old: Raws, given: Raws) -> Raws:
    gone = {_identity(one) for one in given}
    return [one for one in old if _identity(one) not in gone]


async def _changed(api: Api, ask: Ask, change: Change) -> Answer:
    given = _given(ask)
    for attempt in range(ATTEMPTS):
        try:
            written = await _write(api, ask, given, change)
        except PreconditionFailed:
            if ask.if_match is not None or attempt == ATTEMPTS - 1:
                raise
        else:
            break
    return Answer(
        body=_returned(_meta_of(written.body)),
        version=written.version,
        updated=written.updated,
    )


async def _write(api: Api, ask: Ask, given: dict[str, Raws], change: Change) -> Written:
    async def work(tx: Tx) -> Written:
        stored = await resources.get(tx, ask.type, ask.id)
        if stored is None:
            raise NotFound(f"{ask.type}/{ask.id} is not known")
        if stored.deleted:
            raise Gone(f"{ask.type}/{ask.id} was deleted")
        content = _relabelled(stored.body, given, change)
        draft = drafts.draft(api, content, ask.type, ask.id, ask.caller.organisation)
        expected = stored.version if ask.if_match is None else ask.if_match
        written = await resources.put(tx, draft, if_match=expected)
        await drafts.record(tx, ask, written)
        return written

    return await api.store.write(work)


def _relabelled(content: bytes, given: dict[str, Raws], change: Change) -> bytes:
    """The resource with other labels; the text of everything else as it was."""
    old = _labels(_meta_of(content))
    wanted = {name: change(old.get(name, []), values) for name, values in given.items()}
    different = {name: values or None for name, values in wanted.items() if values != old.get(name, [])}
    return r4.splice(content, meta=different) if different else content


def _given(ask: Ask) -> dict[str, Raws]:
    """The labels in the parameter `meta`; BadRequest where it is missing or no Meta."""
    body.check(ask.body)
    found = raw_parameters.only(raw_parameters.read(ask.body) or [], "meta")
    if found is None or not found.value_meta:
        raise BadRequest(
            issues=[Issue(code="required", diagnostics="meta: expected a Parameters resource with valueMeta")]
        )
    raw = bytes(found.value_meta)
    try:
        r4.decode(b'{"resourceType":"Basic","meta":%b,"code":{"text":"labels"}}' % raw, "Basic")
    except InvalidResource as refused:
        issues = [
            msgspec.structs.replace(one, expression=one.expression.replace("Basic.", "", 1))
            for one in refused.issues
        ]
        raise BadRequest(issues=issues) from refused
    return _labels(raw)


def _meta_of(content: bytes) -> bytes:
    return bytes(_members(content).get("meta", b"{}"))


def _labels(meta_text: bytes) -> dict[str, Raws]:
    members = _members(meta_text)
    return {name: _list(members[name]) for name in NAMES if name in members}


def _identity(label: msgspec.Raw) -> Any:
    """What makes two labels the same: system and code, or the whole URL of a profile."""
    if bytes(label).lstrip().startswith(b"{"):
        coding = _coding(label)
        return coding.system, coding.code
    return msgspec.json.decode(label)


def _returned(meta_text: bytes) -> bytes:
    if meta_text == b"{}":  # FHIR has no empty Meta
        return b'{"resourceType":"Parameters"}'
    return b'{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":%b}]}' % meta_text


def _offered(name: str, run: Any, on: Iterable[Any], description: str, *, reads: bool) -> Offered:
    url = f"http://hl7.org/fhir/OperationDefinition/Resource-{name}"
    return Offered(name=name, url=url, run=run, on=frozenset(on), reads=reads, description=description)


META = _offered(
    "meta",
    meta,
    ("system", "type", "instance", "version"),
    "The meta of a resource or version, or every profile, tag and security label in use.",
    reads=True,
)
META_ADD = _offered(
    "meta-add",
    meta_add,
    ("instance",),
    "Adds profiles, tags and security labels. What changes makes a new version.",
    reads=False,
)
META_DELETE = _offered(
    "meta-delete",
    meta_delete,
    ("instance",),
    "Removes profiles, tags and security labels. What changes makes a new version.",
    reads=False,
)
