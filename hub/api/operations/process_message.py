"""$process-message: take in a message and answer it,
http://hl7.org/fhir/R4/messageheader-operation-process-message.html

What the message carries is stored as one transaction, under its own ids. A message takes effect once: the
answer is stored with it, and a message that comes again gets the same one
(http://hl7.org/fhir/R4/messaging.html).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hub import clock, r4
from hub.api import body, bundle, drafts, outcome
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.outcome import BadRequest
from hub.errors import Conflict, HubError, Issue, NotSupported, Retryable
from hub.store import resources
from hub.store.backend import Tx
from hub.store.names import name_key

Json = dict[str, Any]


class _Entry(msgspec.Struct, rename="camel"):
    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Identifier(msgspec.Struct):
    system: str = ""
    value: str = ""


class _Message(msgspec.Struct, rename="camel"):
    type: str = ""
    identifier: _Identifier | None = None
    entry: list[_Entry] = []


class _Parameter(msgspec.Struct):
    name: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Parameters(msgspec.Struct):
    parameter: list[_Parameter] = []


_message = msgspec.json.Decoder(_Message).decode
_parameters = msgspec.json.Decoder(_Parameters).decode


async def take_message(api: Api, ask: Ask) -> Answer:
    """200 with the answer, or the status of the failure with an answer that says `fatal-error` or
    `transient-error`; 400 for what is no message."""
    message = _read(_content(ask))
    header = _header(message)
    id = _answer_id(ask, message, header)
    try:
        return await _store(api, ask, message, header, id)
    except HubError as error:
        again = isinstance(error, Retryable) or type(error) is Conflict
        failed = _answer(api, header, id, "transient-error" if again else "fatal-error", error.issues)
        return Answer(status=outcome.http_status(error), body=r4.untree(failed))


async def _store(api: Api, ask: Ask, message: _Message, header: Json, id: str) -> Answer:
    from hub.api import transaction  # it answers operations itself
    from hub.api.planning import plan_of

    plan = plan_of(api, ask, bundle.Bundle(type="transaction", entry=_entries(message)))
    told = Issue(
        severity="information", code="informational", diagnostics=f"{len(message.entry)} resources are stored"
    )
    made = r4.untree(_answer(api, header, id, "ok", [told]))

    async def work(tx: Tx) -> bytes:
        await tx.lock([name_key("Bundle", id)])
        before = await resources.get(tx, "Bundle", id)
        if before is not None and not before.deleted:
            _check_same(before.body, header)
            return before.body
        await transaction.run(api, tx, plan)
        draft = drafts.draft(api, made, "Bundle", id, ask.caller.organisation)
        written = await resources.put(tx, draft)
        await drafts.record(tx, ask, written)
        return written.body

    return Answer(body=await api.store.write(work), about=f"Bundle/{id}")


def _content(ask: Ask) -> bytes:
    """The Bundle: the body itself, or `content` of Parameters."""
    asked = {name for name, _ in ask.query if not name.startswith("_")}
    kind = body.of_any(ask.body).resource_type
    content = ask.body
    if kind == "Parameters":
        r4.decode(ask.body, "Parameters")
        given = _parameters(ask.body).parameter
        asked |= {one.name for one in given}
        content = next((bytes(one.resource) for one in given if one.name == "content"), b"")
    _check_asked(asked, dict(ask.query))
    if not content or body.head(content).resource_type != "Bundle":
        raise _wrong("expected a Bundle of type message", "required")
    return content


def _read(content: bytes) -> _Message:
    try:
        message = _message(content)
    except msgspec.ValidationError as error:
        raise BadRequest(issues=[Issue(code="structure", diagnostics=f"not a Bundle: {error}")]) from error
    if message.type != "message":
        raise _wrong("Bundle.type: expected message", "value")
    return message


def _check_asked(asked: set[str], query: dict[str, str]) -> None:
    if query.get("async") == "false":
        asked = asked - {"async"}
    if asked & {"async", "response-url"}:
        raise NotSupported("async and response-url are not offered: the answer comes with the response")
    unknown = asked - {"content"}
    if unknown:
        raise _wrong(f"$process-message has no parameter {min(unknown)[:64]}", "not-supported")


def _header(message: _Message) -> Json:
    """The MessageHeader, which comes first and has an id."""
    first = message.entry[0].resource if message.entry else b""
    if not first or body.head(bytes(first)).resource_type != "MessageHeader":
        raise _wrong("expected a MessageHeader as the first entry (bdl-12)", "invariant")
    r4.decode(bytes(first), "MessageHeader")
    header = r4.tree(bytes(first))
    if "response" in header:
        raise NotSupported("this message is a response; the hub has sent no message that one could answer")
    if "id" not in header:
        raise _wrong("MessageHeader.id: expected an id, by which the answer names the message", "required")
    return header


def _answer_id(ask: Ask, message: _Message, header: Json) -> str:
    """The id of the answer: the same message of the same sender always gives the same.

    A message is known by its Bundle.identifier, else by MessageHeader.id.
    """
    known = message.identifier or _Identifier()
    name = f"identifier\n{known.system}\n{known.value}" if known.value else f"id\n{header['id']}"
    digest = hashlib.sha256(f"{ask.caller.organisation}\n{name}".encode()).hexdigest()
    return f"answer-{digest[:40]}"


def _check_same(answered: bytes, header: Json) -> None:
    """The stored answer is about this very message."""
    said = r4.tree(answered)["entry"][0]["resource"]["response"]["identifier"]
    if said != header["id"]:
        text = "a message with this Bundle.identifier and another MessageHeader.id was answered before"
        raise outcome.Unprocessable(issues=[Issue(code="duplicate", diagnostics=text)])


def _entries(message: _Message) -> list[bundle.Entry]:
    """The message as a transaction: what has an id is put there, what has none is created."""
    made = []
    for one in message.entry:
        head = body.head(bytes(one.resource)) if one.resource else body.Head()
        method, url = ("PUT", f"{head.resource_type}/{head.id}") if head.id else ("POST", head.resource_type)
        request = bundle.Request(method=method, url=url)
        made.append(bundle.Entry(full_url=one.full_url, resource=one.resource, request=request))
    return made


def _answer(api: Api, header: Json, id: str, code: str, issues: Any) -> Json:
    """The answering message; its details are an OperationOutcome."""
    details = f"urn:uuid:{api.new_id()}"
    own = api.new_id()
    event: Json = {name: header[name] for name in ("eventCoding", "eventUri") if name in header}
    sender = header.get("source", {})
    destination: Json = {name: sender[name] for name in ("name", "endpoint") if name in sender}
    answer: Json = {
        "resourceType": "MessageHeader",
        "id": own,
        **event,
        "destination": [destination],
        "source": {"name": api.name, "endpoint": f"{api.base}/$process-message"},
        "response": {"identifier": header["id"], "code": code, "details": {"reference": details}},
    }
    return {
        "resourceType": "Bundle",
        "id": id,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{api.new_id()}"},
        "type": "message",
        "timestamp": clock.instant(api.now()),
        "entry": [
            {"fullUrl": f"urn:uuid:{own}", "resource": answer},
            {"fullUrl": details, "resource": outcome.tree(issues)},
        ],
    }


def _wrong(text: str, code: str) -> BadRequest:
    return BadRequest(issues=[Issue(code=code, diagnostics=text)])


PROCESS_MESSAGE = Offered(
    name="process-message",
    url="http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
    run=take_message,
    on=frozenset({"system"}),
    reads=False,
    description="Store what a message carries, once, and answer it with a message.",
)
