"""Pack R4's code systems, value sets and concept maps for hub.terminology, at build time.

`_terms.json` is a JSON array with one resource on each line; `_terms_index.json` says where each line lies
by type and canonical URL, so that one resource is read without the others. Code content that carries
somebody else's copyright notice is left out: such a CodeSystem is `not-present`, such a list of concepts in
a ValueSet is replaced by `"withheld": true`.
"""

from __future__ import annotations

import json
from typing import Any

from tools.r4_value_sets import noticed

KINDS = ("CodeSystem", "ValueSet", "ConceptMap")
ELSEWHERE = (
    "http://snomed.info/",
    "http://loinc.org",
    "http://unitsofmeasure.org",
    "http://www.nlm.nih.gov/",
)
ELSEWHERE_PARTS = ("icd", "/cpt", "dicom")
"""Code systems of others, whose codes are left out even where no notice stands beside them."""
LONGEST_DEFINITION = 200
"""Definitions of more characters are prose and stay with the specification."""
_HEAD = ("resourceType", "id", "url", "version", "name", "title", "status", "experimental", "language")
_KEPT = {
    "CodeSystem": (*_HEAD, "caseSensitive", "valueSet", "hierarchyMeaning", "content"),
    "ValueSet": _HEAD,
    "ConceptMap": (*_HEAD, "sourceUri", "sourceCanonical", "targetUri", "targetCanonical"),
}


def terms(core: dict[str, Any]) -> dict[str, bytes]:
    """The two files of the pack by name."""
    foreign = {
        r["url"]
        for n, r in core.items()
        if n.startswith("CodeSystem-") and (noticed(r) or elsewhere(r["url"]))
    }
    listed = [r for kind in KINDS for n, r in sorted(core.items()) if n.startswith(f"{kind}-")]
    index: dict[str, dict[str, list[int]]] = {kind: {} for kind in KINDS}
    lines: list[bytes] = []
    place = 2
    for one in listed:
        kept = _PACKED[one["resourceType"]](one, foreign)
        if kept is None:
            continue
        line = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
        index[one["resourceType"]][one["url"]] = [place, len(line)]
        lines.append(line)
        place += len(line) + 2
    body = b"[\n" + b",\n".join(lines) + b"\n]\n"
    table = json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return {"_terms.json": body, "_terms_index.json": table}


def elsewhere(system: str) -> bool:
    """Whether a code system is one whose codes are somebody else's."""
    return system.startswith(ELSEWHERE) or any(part in system.lower() for part in ELSEWHERE_PARTS)


def _head(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: resource[name] for name in _KEPT[resource["resourceType"]] if name in resource}


def _code_system(resource: dict[str, Any], foreign: set[str]) -> dict[str, Any]:
    packed = _head(resource)
    if resource["url"] in foreign:
        return {**packed, "content": "not-present"}
    if resource.get("property"):
        packed["property"] = [
            {name: one[name] for name in ("code", "uri", "type") if name in one}
            for one in resource["property"]
        ]
    if resource.get("concept"):
        packed["concept"] = [_concept(one) for one in resource["concept"]]
    return packed


def _concept(concept: dict[str, Any]) -> dict[str, Any]:
    packed: dict[str, Any] = {name: concept[name] for name in ("code", "display") if name in concept}
    definition = concept.get("definition", "")
    if 0 < len(definition) <= LONGEST_DEFINITION and definition != concept.get("display"):
        packed["definition"] = definition
    for name in ("designation", "property"):
        if concept.get(name):
            packed[name] = concept[name]
    if concept.get("concept"):
        packed["concept"] = [_concept(one) for one in concept["concept"]]
    return packed


def _value_set(resource: dict[str, Any], foreign: set[str]) -> dict[str, Any]:
    compose = resource["compose"]
    kept = {name: compose[name] for name in ("lockedDate", "inactive") if name in compose}
    systems = {one.get("system", "") for one in compose["include"]}
    others = noticed(resource) and any(not _ours(system) for system in systems)
    for name in ("include", "exclude"):
        if compose.get(name):
            kept[name] = [_part(part, foreign, others) for part in compose[name]]
    return {**_head(resource), "compose": kept}


def _ours(system: str) -> bool:
    return system.startswith(("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/"))


def _part(part: dict[str, Any], foreign: set[str], others: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {
        name: part[name] for name in ("system", "version", "filter", "valueSet") if name in part
    }
    if "concept" not in part:
        return kept
    system = part["system"]
    if system in foreign or elsewhere(system) or (others and not _ours(system)):
        return {**kept, "withheld": True}
    names = ("code", "display", "designation")
    concepts = [{name: one[name] for name in names if name in one} for one in part["concept"]]
    return {**kept, "concept": concepts}


def _concept_map(resource: dict[str, Any], foreign: set[str]) -> dict[str, Any] | None:
    """None where either side is somebody else's."""
    groups = resource.get("group", [])
    sides = [group.get(name, "") for group in groups for name in ("source", "target")]
    if noticed(resource) or any(side in foreign or elsewhere(side) for side in sides):
        return None
    return {**_head(resource), "group": groups}


_PACKED: dict[str, Any] = {"CodeSystem": _code_system, "ValueSet": _value_set, "ConceptMap": _concept_map}
