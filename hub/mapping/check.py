"""`hub map run` and `hub map test`: what a mapping makes of a file, and whether that is what was expected.

Beside a mapping lie `samples/NAME[.case].{hl7,json}` and, written by hand from the specification,
`samples/NAME[.case].expected.json`. For an inbound mapping it is {"resources": [...], "facts": {...},
"issues": [...], "unmapped": [...]} (resources, facts and issues that are missing are expected to be empty), a
Bundle, or {"error": "part of the text"}; for an outbound one the message. An optional
`samples/NAME[.case].context.json` holds the variables (facts, settings, focus, sent, delivery, system ...),
and under `resources` what references resolve to. Ids in an expected result are free names: only that the
same name means the same resource is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hub.errors import HubError, InvalidMessage, InvalidResource, Issue, Misconfigured
from hub.mapping.coverage import unread
from hub.mapping.library import Mapped, Mapping, Mappings, load, read_json
from hub.mapping.runtime import BASE, Context
from hub.r4 import decode
from hub.settings import DEVELOPMENT_KEY

ZONE = ZoneInfo("Asia/Shanghai")
KEY = DEVELOPMENT_KEY.encode()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One sample, or one mapping that has none. `differences` is empty if all is well."""

    mapping: str
    sample: str
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences


def run(
    mapping: Mapping, file: Path, *, system: str = "sample", variables: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The Bundle a file becomes, or the message an outbound mapping makes of a resource.

    The Bundle's last entry is an OperationOutcome with what is no valid R4 (severity error), warnings and
    unread fields. Raises InvalidMessage, or InvalidResource for an outbound resource.
    """
    body = file.read_bytes()
    context = _context(variables if variables is not None else _variables(_beside(file, "context")), system)
    if mapping.document.direction == "out":
        rendered = mapping.render(read_json(body), context)
        if faults := list(_faults_of_message(mapping, rendered.body)):
            raise InvalidResource(issues=faults)
        found: dict[str, Any] = read_json(rendered.body)
        return found
    mapped = mapping.map(body, context)
    resources = [read_json(one.body) for one in mapped.resources]
    entries = [{"fullUrl": f"{BASE}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    faults = [fault for one in mapped.resources for fault in _faults(one.body, one.type)]
    outcome = _outcome(mapped, unread(mapping, body, context), faults)
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [*entries, *([{"resource": outcome}] if outcome else [])],
    }


def is_faulty(found: dict[str, Any]) -> bool:
    """Whether what `run` found holds an error."""
    last = found["entry"][-1]["resource"] if found.get("type") == "collection" and found["entry"] else {}
    return any(issue.get("severity") == "error" for issue in last.get("issue", ()))


def _faults(body: bytes, type_name: str | None = None) -> Iterator[Issue]:
    """What the store would refuse a resource for."""
    try:
        decode(body, type_name)
    except HubError as error:
        yield from error.issues


def _faults_of_message(mapping: Mapping, body: bytes) -> Iterator[Issue]:
    """The same of an outbound message that is a resource."""
    if mapping.document.format == "fhir":
        yield from _faults(body)


def _outcome(mapped: Mapped, lost: Sequence[str], faults: Sequence[Issue]) -> dict[str, Any] | None:
    issues = [
        {
            "severity": "error",
            "code": fault.code,
            "diagnostics": f"no valid R4: {fault.expression} {fault.diagnostics}",
        }
        for fault in faults
    ]
    issues += [
        {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
        for issue in mapped.issues
    ]
    issues += [
        {
            "severity": "information",
            "code": "informational",
            "diagnostics": f"{place}: neither mapped nor ignored",
        }
        for place in lost
    ]
    return {"resourceType": "OperationOutcome", "issue": issues} if issues else None


def test(folders: Sequence[Path], *, only: str = "") -> list[Result]:
    """Every sample of every mapping below the folders; `only` is a set or a full name."""
    mappings = load(folders)
    results = [
        Result(mapping=name, sample="", differences=(str(error),))
        for name, error in mappings.failed.items()
        if _chosen(name, only)
    ]
    for mapping in mappings:
        if _chosen(mapping.name, only):
            results += test_mapping(mapping, mappings)
    return results


def _chosen(name: str, only: str) -> bool:
    return not only or name == only or name.startswith(f"{only}/")


def test_mapping(mapping: Mapping, mappings: Mappings) -> list[Result]:
    """Every sample of one mapping."""
    try:
        mapping.compiled()
    except Misconfigured as error:
        return [Result(mapping=mapping.name, sample="", differences=(str(error),))]
    samples = list(samples_of(mapping))
    if not samples:
        folder = mapping.document.path.parent / "samples"
        missing = f"{folder}: expected at least one sample of {mapping.name}, found none"
        return [Result(mapping=mapping.name, sample="", differences=(missing,))]
    return [
        Result(mapping=mapping.name, sample=path.name, differences=tuple(_differences(mapping, path)))
        for path in samples
    ]


test.__test__ = test_mapping.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect them


def samples_of(mapping: Mapping) -> Iterator[Path]:
    """The sample files beside a mapping."""
    folder = mapping.document.path.parent / "samples"
    name = mapping.document.path.name.removesuffix(".yaml")
    for path in sorted(folder.glob(f"{name}.*")) if folder.is_dir() else ():
        if not path.name.endswith((".expected.json", ".context.json")):
            yield path


def _beside(sample: Path, what: str) -> Path:
    return sample.with_name(f"{sample.name.rpartition('.')[0]}.{what}.json")


def _differences(mapping: Mapping, sample: Path) -> Iterator[str]:
    expected_path = _beside(sample, "expected")
    if not expected_path.is_file():
        yield f"{expected_path}: expected the hand-written result, found no file"
        return
    expected = read_json(expected_path.read_bytes())
    context = _context(_variables(_beside(sample, "context")), mapping.document.folder)
    try:
        if mapping.document.direction == "out":
            rendered = mapping.render(read_json(sample.read_bytes()), context)
            for issue in _faults_of_message(mapping, rendered.body):
                yield f"message: no valid R4: {issue.expression} {issue.diagnostics}"
            yield from compare(expected, read_json(rendered.body), "message")
            return
        mapped = mapping.map(sample.read_bytes(), context)
    except InvalidMessage as error:
        wanted = expected.get("error") if isinstance(expected, dict) else None
        if not isinstance(wanted, str) or wanted not in str(error):
            hoped = "a result" if wanted is None else f"an error with {wanted!r}"
            yield f"expected {hoped}, found the error: {error}"
        return
    if "error" in expected:
        yield f"expected an error with {expected['error']!r}, found a result"
        return
    yield from _compare_mapped(expected, mapped)


def _compare_mapped(expected: dict[str, Any], mapped: Mapped) -> Iterator[str]:
    if expected.get("resourceType") == "Bundle":
        expected = {"resources": [entry["resource"] for entry in expected.get("entry", ())]}
    resources = [read_json(one.body) for one in mapped.resources]
    for one, tree in zip(mapped.resources, resources, strict=True):
        for issue in _faults(one.body, one.type):
            yield f"{tree['resourceType']}: no valid R4: {issue.expression} {issue.diagnostics}"
    changes = [
        {"type": one.type, "find": dict(one.criteria), "content": one.content} for one in mapped.changes
    ]
    yield from compare(expected.get("changes", []), _plain(changes), "changes")
    wanted = expected.get("resources", [])
    yield from compare(_renamed(wanted, resources), resources, "resources")
    yield from compare(expected.get("facts", {}), _plain(mapped.facts), "facts")
    if "unmapped" in expected:
        yield from compare(expected["unmapped"], [list(row) for row in mapped.unmapped], "unmapped")
    yield from _compare_issues(expected.get("issues", []), mapped)


def _compare_issues(expected: list[Any], mapped: Mapped) -> Iterator[str]:
    found = [_plain(msgspec.to_builtins(issue)) for issue in mapped.issues]
    if len(expected) != len(found):
        texts = "; ".join(issue["diagnostics"] for issue in found) or "none"
        yield f"issues: expected {len(expected)}, found {len(found)}: {texts}"
        return
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        if isinstance(one, str):
            if one not in other["diagnostics"]:
                yield f"issues[{number}]: expected {one!r}, found {other['diagnostics']!r}"
            continue
        yield from compare(one, {key: other.get(key) for key in one}, f"issues[{number}]")


def _renamed(expected: list[Any], found: list[Any]) -> Any:
    """The expected resources with the ids of those found in their place."""
    names = {
        f"{one['resourceType']}/{one['id']}": f"{other['resourceType']}/{other['id']}"
        for one, other in zip(expected, found, strict=False)
        if "id" in one and one.get("resourceType") == other.get("resourceType")
    }

    def rename(node: Any, top: bool) -> Any:
        if isinstance(node, list):
            return [rename(item, False) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: rename(value, False) for key, value in node.items()}
        if isinstance(made.get("reference"), str):
            made["reference"] = names.get(made["reference"], made["reference"])
        if top and "id" in made:
            new = names.get(f"{made['resourceType']}/{made['id']}")
            made["id"] = new.partition("/")[2] if new else made["id"]
        return made

    return [rename(one, True) for one in expected]


def compare(expected: Any, found: Any, path: str) -> Iterator[str]:
    """Where two trees differ; numbers must be written alike (105.00 is not 105.0)."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*expected, *found]):
            inner = f"{path}.{key}"
            if key not in found:
                yield f"{inner}: expected {_shown(expected[key])}, found nothing"
            elif key not in expected:
                yield f"{inner}: expected nothing, found {_shown(found[key])}"
            else:
                yield from compare(expected[key], found[key], inner)
    elif isinstance(expected, list) and isinstance(found, list):
        for number in range(max(len(expected), len(found))):
            inner = f"{path}[{number}]"
            if number >= len(found):
                yield f"{inner}: expected {_shown(expected[number])}, found nothing"
            elif number >= len(expected):
                yield f"{inner}: expected nothing, found {_shown(found[number])}"
            else:
                yield from compare(expected[number], found[number], inner)
    elif type(expected) is bool or type(found) is bool or isinstance(expected, str) or isinstance(found, str):
        if expected != found or type(expected) is not type(found):
            yield f"{path}: expected {_shown(expected)}, found {_shown(found)}"
    elif str(expected) != str(found):
        yield f"{path}: expected {_shown(expected)}, found {_shown(found)}"


def _shown(value: Any) -> str:
    text = _encode(value).decode()
    return text if len(text) <= 300 else f"{text[:300]}…"


_encode = msgspec.json.Encoder(decimal_format="number").encode


def _plain(value: Any) -> Any:
    return read_json(_encode(value))


def _variables(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = read_json(path.read_bytes())
    if not isinstance(found, dict):
        raise Misconfigured(f"{path}: expected a JSON object of variables")
    return found


def _context(variables: dict[str, Any], system: str) -> Context:
    env = {key: value for key, value in variables.items() if key not in ("system", "resources", "charset")}
    known = {f"{one['resourceType']}/{one['id']}": one for one in variables.get("resources", ())}
    env["resolve"] = known.get
    if "focus" in env:
        env["resource"] = env["focus"]
    return Context(
        system=str(variables.get("system", system)),
        hub_key=KEY,
        zone=ZONE,
        env=env,
        charset=str(variables.get("charset", "")),
    )


__all__ = ["Result", "compare", "is_faulty", "run", "samples_of", "test", "test_mapping"]
