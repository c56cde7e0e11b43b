"""What every write shares: a checked draft of the resource, and the answer about what was written."""

from __future__ import annotations

from collections.abc import Iterator

from hub.api import outcome, references
from hub.api.auditing import row
from hub.api.exchange import Answer, Api, Ask, Parameters
from hub.api.outcome import BadRequest
from hub.audit import Action, Audit
from hub.errors import Issue, PreconditionFailed
from hub.store import audit as table
from hub.store import resources
from hub.store.backend import Tx
from hub.store.names import name_key
from hub.store.resources import Draft, Written
from hub.validation import structure

_CONTROLS = frozenset({"_format", "_pretty"})
_CREATED = frozenset({"created", "restored"})


def draft(api: Api, body: bytes, type_name: str, id: str, owner: str) -> Draft:
    """Decode, validate and index a resource outside the transaction.

    Raises InvalidResource with every issue, also of the rules that plugins brought, and BadRequest for a
    reference that leads nowhere. A Subscription gets the status the hub gives it.
    """
    local = body if type_name == "Bundle" else references.localise(references.plain(body), api.base)
    made = resources.draft(api.store, local, type=type_name, id=id, owner=owner)
    issue = next(reference_issues(local, type_name), None)
    if issue is not None:
        raise BadRequest(issues=[issue])
    structure.check_narratives(local)
    api.rules.check(type_name, made.body, {})
    if type_name == "Subscription":
        settled = api.acceptance.settle(local)
        made = resources.draft(api.store, settled, type=type_name, id=id, owner=owner)
    return made


def reference_issues(body: bytes, type_name: str) -> Iterator[Issue]:
    """References that only a transaction could resolve, and those to a contained resource that is not there
    (ref-1, http://hl7.org/fhir/R4/references.html#Reference); a Bundle's are its own affair."""
    if type_name == "Bundle":
        return
    contained: set[str] | None = None
    for link in references.references(body):
        if link.startswith("urn:uuid:"):
            text = "a urn:uuid reference leads to an entry of the same transaction; there is none"
            yield Issue(code="not-found", diagnostics=text, expression=type_name)
        elif references.CONDITIONAL.fullmatch(link):
            text = "a reference by criteria is resolved in a transaction only"
            yield Issue(code="not-supported", diagnostics=text, expression=type_name)
        elif link.startswith("#") and link != "#":
            contained = references.contained(body) if contained is None else contained
            if link[1:] not in contained:
                text = "ref-1: a reference names a contained resource that is not there"
                yield Issue(code="invariant", diagnostics=text, expression=type_name)


async def record(tx: Tx, ask: Ask, *written: Written) -> None:
    """The audit rows of writes, in their transaction."""
    await table.record(tx, [_row(tx, ask, one) for one in written])


def _row(tx: Tx, ask: Ask, one: Written) -> Audit:
    action: Action = (
        "delete" if one.change == "deleted" else "create" if one.change == "created" else "update"
    )
    name, detail = f"{one.type}/{one.id}", f"version {one.version}"
    return row(ask.caller, action, name, at=tx.now, detail=detail, status=status_of(one))


def status_of(written: Written) -> int:
    """201 for what was not there, 200 for a new or unchanged version."""
    return 201 if written.change in _CREATED else 200


def location_of(written: Written) -> str:
    """`Type/id/_history/version`."""
    return f"{written.type}/{written.id}/_history/{written.version}"


def answer(ask: Ask, written: Written, *, status: int = 0) -> Answer:
    """The answer about a write, as Prefer asks: the resource (default), nothing, or an OperationOutcome."""
    body = written.body
    if ask.returns == "minimal":
        body = b""
    elif ask.returns == "OperationOutcome":
        body = outcome.success(f"{written.type}/{written.id} {written.change} as version {written.version}")
    return Answer(
        status=status or status_of(written),
        body=body,
        version=written.version,
        updated=written.updated,
        location=location_of(written),
    )


def existing(ask: Ask, stored: resources.Stored) -> Answer:
    """The answer of a conditional create that found its resource: nothing was written."""
    same = Written(
        type=stored.type,
        id=stored.id,
        pid=stored.pid,
        version=stored.version,
        updated=stored.updated,
        change="unchanged",
        body=stored.body,
    )
    return answer(ask, same, status=200)


async def check_none_match(tx: Tx, ask: Ask, id: str) -> None:
    """PreconditionFailed if If-None-Match names the current version (RFC 9110, 13.1.2); `*` is for `put`."""
    if ask.if_none_match in ("", "*"):
        return
    await tx.lock([name_key(ask.type, id)])
    stored = await resources.get(tx, ask.type, id)
    if stored is not None and not stored.deleted and str(stored.version) in ask.if_none_match.split(","):
        raise PreconditionFailed(
            f"{ask.type}/{id} is at version {stored.version}, which If-None-Match excludes"
        )


async def only_match(tx: Tx, type_name: str, criteria: Parameters) -> str | None:
    """The id that conditional criteria name, or None; PreconditionFailed when there are several.

    http://hl7.org/fhir/R4/http.html#ccreate
    """
    check_criteria(criteria)
    found = await resources.resolve(tx, type_name, criteria)
    check_single(type_name, found)
    return found[0] if found else None


def check_single(type_name: str, found: list[str]) -> None:
    """PreconditionFailed when criteria match several."""
    if len(found) > 1:
        issue = Issue(
            code="multiple-matches", diagnostics=f"the criteria match more than one {type_name} resource"
        )
        raise PreconditionFailed(issues=[issue])


def check_criteria(criteria: Parameters) -> None:
    """Criteria must select something, and each have a value: what is left out would match more."""
    asked = [(name, value) for name, value in criteria if name not in _CONTROLS]
    if not asked:
        raise BadRequest(issues=[Issue(code="required", diagnostics="the condition has no search criteria")])
    for name, value in asked:
        if not value:
            text = f"{name[:64]}: a criterion of a condition needs a value"
            raise BadRequest(issues=[Issue(code="required", diagnostics=text)])
