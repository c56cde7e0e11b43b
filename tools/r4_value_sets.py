"""List the value sets of required bindings, at build time."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

OWN_NOTICES = {"HL7 Inc.", "HL7 International.", "This is an example set."}
"""Notices of HL7 itself, whose package is CC0; every other notice is somebody else's."""


def required(packs: dict[str, Any]) -> list[str]:
    """The value sets of required bindings."""
    urls = {
        element["valueset"]
        for pack in packs.values()
        for members in pack["elements"].values()
        for element in members.values()
        if element.get("binding") == "required" and element.get("valueset")
    }
    return sorted(urls)


def codes(core: dict[str, Any], packs: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Value set → system → codes, for every value set of a required binding that can be listed."""
    sets = {r["url"]: r for name, r in sorted(core.items()) if name.startswith("ValueSet-")}
    systems = {r["url"]: r for name, r in sorted(core.items()) if name.startswith("CodeSystem-")}
    found = {}
    for url in required(packs):
        listed = expand(url, sets, systems)
        if listed:
            found[url] = {system: sorted(codes) for system, codes in sorted(listed.items())}
    return found


def open_systems(core: dict[str, Any], packs: dict[str, Any], listed: dict[str, Any]) -> dict[str, str]:
    """Value set → system, for those that are not listed and draw on one system."""
    sets = {r["url"]: r for name, r in sorted(core.items()) if name.startswith("ValueSet-")}
    found = {}
    for url in required(packs):
        named = {part.get("system", "") for part in sets.get(url, {}).get("compose", {}).get("include", [])}
        if url not in listed and len(named) == 1 and "" not in named:
            found[url] = named.pop()
    return found


def noticed(resource: dict[str, Any]) -> bool:
    """Whether somebody else's copyright notice stands on it."""
    return resource.get("copyright", "").strip() not in ("", *OWN_NOTICES)


def expand(url: str, sets: dict[str, Any], systems: dict[str, Any]) -> dict[str, set[str]] | None:
    """Every code of a value set by system; None where it cannot be listed or must be left out."""
    valueset = sets.get(url)
    if valueset is None or noticed(valueset):
        return None
    found: dict[str, set[str]] = defaultdict(set)
    for part in valueset.get("compose", {}).get("include", []):
        listed = included(part, sets, systems)
        if listed is None:
            return None
        for system, members in listed.items():
            found[system] |= members
    for part in valueset.get("compose", {}).get("exclude", []):
        listed = included(part, sets, systems)
        if listed is None:
            return None
        for system, members in listed.items():
            found[system] -= members
    return dict(found)


def included(
    part: dict[str, Any], sets: dict[str, Any], systems: dict[str, Any]
) -> dict[str, set[str]] | None:
    if part.get("filter"):
        return None
    if "system" not in part:
        found: dict[str, set[str]] = defaultdict(set)
        for url in part.get("valueSet", []):
            listed = expand(url.partition("|")[0], sets, systems)
            if listed is None:
                return None
            for name, members in listed.items():
                found[name] |= members
        return dict(found)
    system = systems.get(part["system"])
    if system is not None and noticed(system):
        return None
    if "concept" in part:
        return {part["system"]: {c["code"] for c in part["concept"]}}
    if system is None or system.get("content") != "complete":
        return None
    return {part["system"]: set(concepts(system.get("concept", [])))}


def concepts(tree: list[dict[str, Any]]) -> list[str]:
    return [code for c in tree for code in (c["code"], *concepts(c.get("concept", [])))]
