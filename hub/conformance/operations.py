"""From an operation to the request it means (http://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.operation)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from hub import r4
from hub.conformance.session import Fixture, Session
from hub.conformance.target import Asked, path_of
from hub.errors import Misconfigured, NotSupported
from hub.r4 import xml

METHODS = {
    "read": "GET",
    "vread": "GET",
    "history": "GET",
    "search": "GET",
    "capabilities": "GET",
    "create": "POST",
    "batch": "POST",
    "transaction": "POST",
    "update": "PUT",
    "updateCreate": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deleteCondSingle": "DELETE",
    "deleteCondMultiple": "DELETE",
}
"""The interactions by their code in testscript-operation-codes."""
OPERATIONS = {
    code: f"${code}"
    for code in (
        *("apply", "closure", "conforms", "data-requirements", "document", "evaluate", "evaluate-measure"),
        *("everything", "expand", "find", "graphql", "implements", "lastn", "lookup", "match", "meta"),
        *("meta-add", "meta-delete", "populate", "populatehtml", "populatelink", "process-message"),
        *("questionnaire", "stats", "subset", "subsumes", "transform", "translate", "validate"),
        "validate-code",
    )
} | {"find-matches": "$find-matches"}
MEDIA_TYPES = {
    "json": "application/fhir+json",
    "xml": "application/fhir+xml",
    "ttl": "application/fhir+turtle",
    "turtle": "application/fhir+turtle",
}
FORM = "application/x-www-form-urlencoded"
_SAFE = "/?&=:$,;@!*'()~%-._"


def plan(operation: Mapping[str, Any], session: Session) -> Asked:
    """The request of an operation. Raises NotSupported or Misconfigured that says what is amiss."""
    code = str(operation.get("type", {}).get("code", ""))
    if code and code not in METHODS and code not in OPERATIONS:
        raise NotSupported(f"the operation {code} is not supported")
    _check_systems(operation, session)
    method = str(operation.get("method", "")).upper() or METHODS.get(code) or _of_operation(operation)
    path = _path(operation, code, method, session)
    headers = httpx.Headers()
    _accept(operation, headers)
    body: bytes | None = None
    if code == "search" and method == "POST" and "sourceId" not in operation:
        path, _, query = path.partition("?")
        body = (quote(query, safe=_SAFE) if operation.get("encodeRequestUrl", True) else query).encode()
        headers["Content-Type"] = FORM
    elif "sourceId" in operation:
        body = _body(operation, method, path, session, headers)
    for one in operation.get("requestHeader", []):
        headers[str(one["field"])] = session.fill(str(one["value"]))
    if operation.get("encodeRequestUrl", True):
        path = quote(path, safe=_SAFE)
    return Asked(method, session.target.url(path), headers, body)


def _of_operation(operation: Mapping[str, Any]) -> str:
    if "type" not in operation:
        raise Misconfigured("an operation without a type needs a method")
    return "POST" if "sourceId" in operation else "GET"


def _check_systems(operation: Mapping[str, Any], session: Session) -> None:
    """One client, one server: scripts between several are not run."""
    for role in ("origin", "destination"):
        known = [one["index"] for one in session.script.resource.get(role, [])]
        if len(known) > 1:
            raise NotSupported(f"the script has {len(known)} systems as {role}; one is supported")
        if operation.get(role) not in (None, *known):
            raise Misconfigured(f"{role}: the script declares no system with this index")


def _path(operation: Mapping[str, Any], code: str, method: str, session: Session) -> str:
    if "url" in operation:
        return session.fill(str(operation["url"]))
    params = session.fill(str(operation.get("params", "")))
    if code == "capabilities":
        return _join("metadata", params)
    if code in ("batch", "transaction"):
        return params
    if "targetId" in operation:
        return _join(_of_target(operation, code, session), params)
    kind = str(operation.get("resource", "")) or _type_of_source(operation, session)
    if code == "search" and method == "POST":
        return _join(_join(kind, "_search"), params)
    if code == "history" and "_history" not in params:
        steps, mark, query = params.partition("?")
        return _join(_join(_join(kind, steps), "_history"), mark + query)
    if code in OPERATIONS:
        steps, mark, query = params.partition("?")
        named = "" if OPERATIONS[code] in steps else OPERATIONS[code]
        return _join(_join(_join(kind, steps), named), mark + query)
    if code in ("update", "updateCreate") and not params:
        return f"{kind}/{_own_id(operation, session)}"
    if code in ("read", "vread", "delete") and not params:
        raise Misconfigured(f"the operation {code} needs a targetId, params or a url")
    return _join(kind, params)


def _join(left: str, right: str) -> str:
    if not left or not right or right[0] in "/?":
        return left + right
    return f"{left}/{right}"


def _of_target(operation: Mapping[str, Any], code: str, session: Session) -> str:
    kind, id, version = session.identity(str(operation["targetId"]))
    place = f"{kind}/{id}"
    if code == "vread":
        if not version:
            raise Misconfigured("vread: the target carries no version")
        return f"{place}/_history/{version}"
    if code == "history":
        return f"{place}/_history"
    return f"{place}/{OPERATIONS[code]}" if code in OPERATIONS else place


def _type_of_source(operation: Mapping[str, Any], session: Session) -> str:
    if "sourceId" not in operation or str(operation.get("type", {}).get("code")) in OPERATIONS:
        return ""
    return str(session.source(str(operation["sourceId"])).get("resourceType", ""))


def _own_id(operation: Mapping[str, Any], session: Session) -> str:
    name = str(operation.get("sourceId", ""))
    if name in session.fixtures:
        return session.identity(name)[1]
    found = str(session.source(name).get("id", ""))
    if not found:
        raise Misconfigured("update: neither params nor a targetId, and the source has no id")
    return found


def _accept(operation: Mapping[str, Any], headers: httpx.Headers) -> None:
    wanted = str(operation.get("accept", "json"))
    if wanted != "none":
        headers["Accept"] = MEDIA_TYPES.get(wanted, wanted)


def _body(
    operation: Mapping[str, Any], method: str, path: str, session: Session, headers: httpx.Headers
) -> bytes:
    wanted = str(operation.get("contentType", "json"))
    name = str(operation["sourceId"])
    media_type = MEDIA_TYPES.get(wanted, wanted)
    if wanted != "none":
        headers["Content-Type"] = media_type
    fixture = session.fixtures.get(name)
    if fixture is not None and _is_raw(fixture, operation):
        return _raw(fixture)
    tree = session.source(name)
    if method == "POST" and fixture is not None and fixture.contained and not fixture.created:
        tree.pop("id", None)  # the id only names it inside the script
    if method == "PUT":
        _own(tree, path)
    return encode(tree, media_type)


def _is_raw(fixture: Fixture, operation: Mapping[str, Any]) -> bool:
    """A Binary stands for its content, unless it is itself what is written."""
    return fixture.tree.get("resourceType") == "Binary" and operation.get("resource") != "Binary"


def _raw(fixture: Fixture) -> bytes:
    try:
        return base64.b64decode(str(fixture.tree.get("data", "")), validate=True)
    except binascii.Error:
        raise Misconfigured("the data of the Binary is not base64") from None


def _own(tree: dict[str, Any], path: str) -> None:
    """Give what is written the id of its address: R4 refuses an update whose body has another one."""
    steps = [step for step in path_of(path).split("/") if step]
    if len(steps) >= 2 and steps[-2] == tree.get("resourceType"):
        tree["id"] = steps[-1]
    else:
        tree.pop("id", None)  # a conditional update: the server knows the id


def encode(tree: dict[str, Any], media_type: str) -> bytes:
    """A resource in the format that a media type means. NotSupported for another than JSON and XML."""
    body = r4.untree(tree)
    if "json" in media_type or media_type == "none":
        return body
    if "xml" not in media_type:
        raise NotSupported(f"a resource cannot be sent as {media_type}")
    try:
        return xml.write(body)
    except ValueError as error:
        raise Misconfigured(f"the source cannot be written as XML: {error}") from None
