"""$validate: whether content would be accepted, http://hl7.org/fhir/R4/resource-operation-validate.html

200 with every issue, whatever they are; an error status means that nothing could be judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hub import r4
from hub.api import drafts, outcome, raw_parameters, references
from hub.api.exchange import Answer, Api, Ask, Offered
from hub.api.outcome import BadRequest
from hub.api.parameters import wrong
from hub.api.raw_parameters import Parameter, only
from hub.errors import Gone, InvalidResource, Issue, NotFound, RuleBroken
from hub.store import reading, resources
from hub.validation import structure

MODES = ("", "create", "update", "delete", "profile")
BASE = "http://hl7.org/fhir/StructureDefinition/"
_KNOWN = ("mode", "profile", "_format", "_pretty")


class _Asked(msgspec.Struct):
    """What to validate; `content` empty: the stored resource."""

    content: bytes = b""
    mode: str = ""
    profile: str = ""


async def validate(api: Api, ask: Ask) -> Answer:
    """200 with an OperationOutcome; 400 for a body that is no JSON, 404 and 410 without one."""
    asked = _read(ask)
    issues: list[Issue] = []
    if asked.mode == "delete":
        await _stored(api, ask)
    elif asked.content:
        local = references.localise(asked.content, api.base)
        issues += _content(api, ask.type, local, writing=asked.mode in ("create", "update"))
    else:
        stored = await _stored(api, ask)
        issues += _content(api, ask.type, stored, writing=False)
    if asked.profile:
        issues += _named(ask.type, asked.profile)
    if asked.mode == "update":
        issues += _same_id(asked.content, ask)
    if asked.mode in ("update", "delete"):
        issues += await _may_change(api, ask)
    if not issues:
        return Answer(body=outcome.success("all ok"))
    return Answer(body=outcome.render(issues))


def _read(ask: Ask) -> _Asked:
    """The parameters, from wherever they came; BadRequest for what contradicts itself."""
    for name, _ in ask.query:
        if name not in _KNOWN and not ask.lenient:
            raise wrong(name, "$validate has no parameter of this name")
    asked = _Asked(mode=_query(ask, "mode"), profile=_query(ask, "profile"))
    if ask.body:
        given = raw_parameters.read(ask.body)
        if given is None or (ask.type == "Parameters" and only(given, "resource") is None):
            asked.content = ask.body
        else:
            _take(asked, given)
    _check(asked, ask)
    return asked


def _query(ask: Ask, wanted: str) -> str:
    values = [value for name, value in ask.query if name == wanted]
    if len(values) > 1:
        raise wrong(wanted, "expected once, found several")
    return values[0] if values else ""


def _take(asked: _Asked, given: list[Parameter]) -> None:
    resource, mode, profile = (only(given, name) for name in ("resource", "mode", "profile"))
    if resource is not None:
        asked.content = bytes(resource.resource)
    if mode is not None:
        asked.mode = mode.text
    if profile is not None:
        asked.profile = profile.text


def _check(asked: _Asked, ask: Ask) -> None:
    if asked.mode not in MODES:
        raise wrong("mode", "expected create, update, delete or profile")
    if asked.mode in ("update", "delete") and not ask.id:
        raise wrong("mode", f"{asked.mode} is asked of one resource: [base]/{ask.type}/[id]/$validate")
    if asked.mode in ("create", "update") and not asked.content:
        raise wrong("resource", "expected the content to validate")
    if not asked.content and not ask.id:
        raise BadRequest(
            issues=[Issue(code="required", diagnostics="resource: expected the content to validate")]
        )


async def _stored(api: Api, ask: Ask) -> bytes:
    stored = await resources.get(api.reader, ask.type, ask.id)
    if stored is None:
        raise NotFound(f"{ask.type}/{ask.id} is not known")
    if stored.deleted:
        raise Gone(f"{ask.type}/{ask.id} was deleted")
    return stored.body


def _content(api: Api, type_name: str, content: bytes, *, writing: bool) -> Iterator[Issue]:
    """Structure and narrative; where those are sound, references, rules and what `meta` claims."""
    found = structure.validate(content, type_name)
    yield from found
    try:
        tree = r4.tree(content)
    except InvalidResource:
        return
    for issue in drafts.reference_issues(content, type_name):
        if writing or issue.code == "invariant":
            yield issue
    yield from _formats(tree, type_name)
    if any(issue.severity in ("error", "fatal") for issue in found):
        return
    try:
        yield from api.rules.check(type_name, content, {})
    except RuleBroken as broken:
        yield from broken.issues
    yield from _claimed(tree, type_name)


def _formats(node: Any, path: str) -> Iterator[Issue]:
    """References that lead nowhere by their form: neither `#id`, nor `Type/id`, nor an absolute URI."""
    if isinstance(node, list):
        for position, item in enumerate(node):
            yield from _formats(item, f"{path}[{position}]")
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str) and not references.is_literal(value):
                text = "expected #id, Type/id or an absolute URL; anything else leads nowhere"
                yield Issue(
                    severity="warning", code="value", diagnostics=text, expression=f"{path}.reference"
                )
            elif isinstance(value, dict | list):
                yield from _formats(value, f"{path}.{name}")


def _claimed(tree: dict[str, Any], type_name: str) -> Iterator[Issue]:
    """Profiles in `meta` that this hub cannot check."""
    for position, url in enumerate(tree.get("meta", {}).get("profile", [])):
        if url is not None and not _is_base(type_name, url):
            yield Issue(
                severity="warning",
                code="not-supported",
                diagnostics="this profile is not known here and was not checked",
                expression=f"{type_name}.meta.profile[{position}]",
            )


def _named(type_name: str, url: str) -> Iterator[Issue]:
    if not _is_base(type_name, url):
        text = f"profile: not known here; only {BASE}{type_name} can be validated against"
        yield Issue(code="not-supported", diagnostics=text)


def _is_base(type_name: str, url: str) -> bool:
    """The definition of the type itself, or of what it specialises."""
    bare, _, version = url.partition("|")
    name = bare.removeprefix(BASE)
    bases = (type_name, "DomainResource", "Resource")
    return bare.startswith(BASE) and name in bases and version in ("", "4.0.1", "4.0")


def _same_id(content: bytes, ask: Ask) -> Iterator[Issue]:
    try:
        id = r4.tree(content).get("id")
    except InvalidResource:
        return
    if id != ask.id:
        text = "the URL names an id and the content has none or another; an update needs the same"
        yield Issue(code="invalid", diagnostics=text, expression=f"{ask.type}.id")


async def _may_change(api: Api, ask: Ask) -> list[Issue]:
    """What would keep this caller from changing the resource."""
    owner = await reading.owner(api.reader, ask.type, ask.id)
    if owner in ("", ask.caller.organisation):
        return []
    text = f"{ask.type}/{ask.id} belongs to {owner}; {ask.caller.organisation} may not change it"
    return [Issue(code="forbidden", diagnostics=text)]


VALIDATE = Offered(
    name="validate",
    url="http://hl7.org/fhir/OperationDefinition/Resource-validate",
    run=validate,
    on=frozenset({"type", "instance"}),
    description="Whether content would be accepted: every issue of it, or of the stored resource.",
)
