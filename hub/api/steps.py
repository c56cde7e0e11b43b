"""The entries of a batch or transaction as `Step`s: what each asks for, checked before anything happens.

http://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

import msgspec

from hub import r4
from hub.api import body, negotiation, operations, references
from hub.api.bundle import Bundle, Entry, Request
from hub.api.exchange import Api, Ask
from hub.api.outcome import BadRequest
from hub.api.patching import document
from hub.errors import Issue, NotSupported

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""The order in which the verbs take effect (http://hl7.org/fhir/R4/http.html#trules)."""

MAX_ENTRIES = 10_000

_bundle = msgspec.json.Decoder(Bundle)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_entries = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


class Step(msgspec.Struct, kw_only=True):
    """One entry. `path` are the segments of its URL, `place` is where it stands in the Bundle."""

    index: int
    ask: Ask
    path: list[str]
    full_url: str = ""

    @property
    def reads(self) -> bool:
        """Whether it is answered after all writes: a read, any search, an operation that reads."""
        ask = self.ask
        if ask.method in ("GET", "HEAD") or self.path[-1:] == ["_search"]:
            return True
        offered = operations.offered(ask.type, ask.id, ask.name) if ask.name else None
        return offered is not None and offered.reads

    @property
    def place(self) -> str:
        return f"Bundle.entry[{self.index}]"


def read(content: bytes) -> Bundle:
    """The Bundle in a body; BadRequest unless it is a batch or a transaction."""
    body.check(content)
    try:
        bundle = _bundle.decode(msgspec.json.format(content, indent=-1))
    except msgspec.ValidationError as error:
        raise BadRequest(issues=[Issue(code="structure", diagnostics=f"not a Bundle: {error}")]) from error
    if bundle.resource_type != "Bundle":
        raise BadRequest(
            issues=[Issue(code="invalid", diagnostics="expected a Bundle", expression="resourceType")]
        )
    _check_members(content)
    if bundle.type not in ("batch", "transaction"):
        text = "Bundle.type: expected batch or transaction"
        raise BadRequest(issues=[Issue(code="value", diagnostics=text, expression="Bundle.type")])
    if len(bundle.entry) > MAX_ENTRIES:
        text = f"a Bundle may have {MAX_ENTRIES} entries, this one has {len(bundle.entry)}"
        raise BadRequest(issues=[Issue(code="too-costly", diagnostics=text, expression="Bundle.entry")])
    return bundle


def _check_members(content: bytes) -> None:
    """BadRequest for members that a Bundle does not have: a misspelt one (`ifNoneExists`) that is left out
    would change what is asked. Resources are looked at where they are stored."""
    outline = _members(content) or {}
    _known(outline.keys() - {"resourceType"}, "Bundle", "Bundle")
    for index, entry in enumerate(_entries(outline["entry"]) if "entry" in outline else []):
        place = f"Bundle.entry[{index}]"
        _known(entry, "Bundle.entry", place)
        if "request" in entry:
            _known(_members(entry["request"]) or (), "Bundle.entry.request", f"{place}.request")


def _known(found: Iterable[str], path: str, place: str) -> None:
    members = r4.members(path)
    for name in found:
        if name.removeprefix("_") not in members:
            raise _bad("structure", f"{path} has no member {name[:64]}", place)


def step(api: Api, outer: Ask, index: int, entry: Entry) -> Step:
    """What one entry asks for; BadRequest names the entry."""
    place = f"Bundle.entry[{index}]"
    request = entry.request
    if request is None:
        raise _bad("required", "request is missing", place)
    if request.method not in ORDER:
        raise _bad("value", "expected GET, HEAD, POST, PUT, PATCH or DELETE", f"{place}.request.method")
    path, _, query = _relative(api, request.url).partition("?")
    segments = [unquote(part) for part in path.strip("/").split("/") if part]
    ask = Ask(
        caller=outer.caller,
        method=request.method,
        query=negotiation.query_of(query.encode("ascii", "replace")),
        body=references.plain(bytes(entry.resource)),
        returns=outer.returns,
        lenient=outer.lenient,
    )
    _address(ask, segments, place)
    _conditions(api, ask, request, place)
    if request.method == "PATCH" and ask.body:
        ask.body = document.unwrapped(ask.body, place)
    bare = ask.name or segments[-1:] == ["_search"]
    if request.method in ("POST", "PUT", "PATCH") and not ask.body and not bare:
        raise _bad("required", f"a {request.method} needs a resource", f"{place}.resource")
    if request.method == "POST" and not bare and not ask.if_none_exist:
        ask.if_none_exist, ask.query = query, []
    return Step(index=index, ask=ask, path=segments, full_url=entry.full_url)


def _relative(api: Api, url: str) -> str:
    return url.removeprefix(api.base + "/") if url.startswith(api.base + "/") else url


def _address(ask: Ask, segments: list[str], place: str) -> None:
    if not segments and ask.method in ("GET", "HEAD"):
        return
    if not segments or "://" in "/".join(segments[:2]):
        raise _bad("value", "expected a URL relative to the FHIR base", f"{place}.request.url")
    if segments[0] not in r4.TYPES and not segments[0].startswith(("_", "$")) and segments[0] != "metadata":
        raise NotSupported(
            issues=[
                Issue(
                    code="not-supported",
                    diagnostics="no such resource type",
                    expression=f"{place}.request.url",
                )
            ]
        )
    ask.type = segments[0] if segments[0] in r4.TYPES else ""
    if len(segments) > 1 and not segments[1].startswith(("_", "$")):
        ask.id = segments[1]
        if not body.is_id(ask.id):
            text = "an id has 1 to 64 characters: letters, digits, - and ."
            raise _bad("value", text, f"{place}.request.url")
    if len(segments) in (4, 5) and segments[2] == "_history":
        ask.version = segments[3]
    if len(segments) > 2 and not segments[2].startswith(("_", "$")):
        ask.inside = segments[2]
    if segments[-1].startswith("$"):
        ask.name = segments[-1][1:]


def _conditions(api: Api, ask: Ask, request: Request, place: str) -> None:
    if request.if_match:
        ask.if_match = negotiation.etag(request.if_match, "ifMatch")
    if request.if_none_match:
        ask.if_none_match = negotiation.none_match(request.if_none_match)
    if request.if_modified_since:
        try:
            ask.if_modified_since = r4.date_range(request.if_modified_since, api.store.zone)[0]
        except ValueError as error:
            raise _bad("value", "expected an instant", f"{place}.request.ifModifiedSince") from error
    if request.if_none_exist:
        ask.if_none_exist = negotiation.none_exist(request.if_none_exist, ask.type, api.base, "ifNoneExist")


def _bad(code: str, text: str, expression: str) -> BadRequest:
    return BadRequest(issues=[Issue(code=code, diagnostics=text, expression=expression)])
