"""The published patch suites: JSON Patch (RFC 6902) and FHIRPath Patch, case by case.

They lie in the folder `HUB_TEST_DATA` names (`fhir-r4/patch`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub import r4
from hub.api.outcome import BadRequest, Unprocessable
from hub.api.patching import by_path, by_pointer

FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"


def folder() -> Path | None:
    """The folder of the suites, or None."""
    named = os.environ.get("HUB_TEST_DATA")
    found = Path(named) / "fhir-r4" / "patch" if named else None
    return found if found is not None and found.is_dir() else None


def json_cases() -> list[Any]:
    where = folder()
    if where is None:
        return []
    cases = json.loads((where / "json-patch-tests.json").read_text("utf-8"))
    return [pytest.param(case, id=case["comment"]) for case in cases]


def fhir_cases() -> list[Any]:
    where = folder()
    if where is None:
        return []
    tree = etree.parse(where / "fhir-patch-tests.xml")
    return [pytest.param(case, id=case.get("name")) for case in tree.getroot().iterchildren("case")]


@pytest.mark.skipif(folder() is None, reason="HUB_TEST_DATA names no folder with fhir-r4/patch")
def test_the_suites_have_the_cases_we_know() -> None:
    assert (len(json_cases()), len(fhir_cases())) == (16, 33)


@pytest.mark.parametrize("case", json_cases())
def test_json_patch_does_what_the_suite_expects(case: dict[str, Any]) -> None:
    def run() -> Any:
        return by_pointer.apply(case["doc"], by_pointer.check(case["patch"]), limit=10_000)

    if "error" in case:
        with pytest.raises((Unprocessable, BadRequest)):
            run()
    else:
        found = run()
        assert found == case["expected"]
        assert r4.untree(found) is not None


@pytest.mark.parametrize("case", fhir_cases())
def test_fhirpath_patch_does_what_the_suite_expects(case: Any) -> None:
    resource = _resource(case.find("input"))
    asked = by_path.operations(_resource(case.find("diff")))
    if case.find("error") is not None:
        with pytest.raises(Unprocessable):
            by_path.apply(resource, asked)
    else:
        by_path.apply(resource, asked)
        assert _narrative_aside(resource) == _narrative_aside(_resource(case.find("output")))


def _narrative_aside(resource: dict[str, Any]) -> dict[str, Any]:
    """The suite's narrative is indented differently before and after; only its words are compared."""
    if "text" in resource:
        words = " ".join(map(str, etree.fromstring(resource["text"]["div"]).itertext())).split()
        return {**resource, "text": {**resource["text"], "div": words}}
    return resource


def _resource(holder: Any) -> dict[str, Any]:
    root = next(holder.iterchildren(etree.Element))
    name = root.tag.removeprefix(FHIR)
    found = _object(root, name)
    return {"resourceType": name, **found}


def _object(node: Any, path: str) -> dict[str, Any]:
    """FHIR XML as JSON, as far as the suite needs it (http://hl7.org/fhir/R4/json.html#xml)."""
    found: dict[str, Any] = {}
    for child in node.iterchildren(etree.Element):
        if child.tag == f"{XHTML}div":
            found["div"] = etree.tostring(child, encoding="unicode").strip()
            continue
        name = child.tag.removeprefix(FHIR)
        kind, many = _kind(path, name)
        value, beside = _value(child, kind)
        for key, one in ((name, value), ("_" + name, beside)):
            if many and (one is not None or key in found):
                found.setdefault(key, []).append(one)
            elif one is not None:
                found[key] = one
    return found


def _value(node: Any, kind: str) -> tuple[Any, Any]:
    if kind[0].isupper():
        url = {"url": node.get("url")} if node.get("url") else {}
        return {**url, **_object(node, kind)}, None
    text = node.get("value")
    value: Any = {"true": True, "false": False}[text] if kind == "boolean" else text
    if kind in ("integer", "positiveInt", "unsignedInt"):
        value = int(text)
    return value, _object(node, "Element") or None


def _kind(path: str, name: str) -> tuple[str, bool]:
    element = r4.members(path).get(name)
    if element is not None:
        kind = element.types[0]
        return ("string" if kind.startswith("http://hl7.org/fhirpath/") else kind), element.many
    for choice, one in r4.members(path).items():
        for kind in one.types if one.choice else ():
            if name == choice + kind[0].upper() + kind[1:]:
                return kind, False
    raise AssertionError(f"{path} has no element {name}")
