"""The pages about the FHIR API that are made from its code: interactions, operations, search parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from hub import r4
from hub.api import formats
from hub.api.exchange import Interaction, Offered
from hub.api.metadata import CLAIMS
from hub.api.operations import OFFERED
from hub.api.routes import PREFIX, ROOT
from hub.api.table import ASIDE, PATHS
from hub.plugins import Plugins
from hub.store.search import asking
from hub.store.search.controls import CONTROLS

INTERACTIONS = """\
# FHIR interactions

Every request below the FHIR base, and what the CapabilityStatement calls it. `HEAD` works wherever `GET`
does and `OPTIONS` everywhere. [The FHIR API](fhir-api.md) says what holds for all of them,
[Deviations](deviations.md) what is missing."""
OPERATIONS = """\
# FHIR operations

An operation is asked with a Parameters resource in a POST, with its main resource as the body, or, where
every parameter is a primitive and nothing changes, with parameters in the URL of a GET."""
PARAMETERS = """\
# FHIR search parameters

What a search may ask for, type by type, as R4 defines it; a SearchParameter that is posted adds to this.
`GET /fhir/metadata` tells what a running hub has. [The store](../explanation/store.md) says how they are
indexed, [Deviations](deviations.md) what is missing."""
_MEANING = {
    "_count": "how many matches a page has",
    "_sort": "any parameter, `-` before it for the other direction, several by commas",
    "_total": "`none`, `estimate`, `accurate`",
    "_totalMethod": "`count`: what clients made for Aidbox say for `_total=accurate`",
    "_summary": "`true`, `text`, `data`, `count`, `false`",
    "_elements": "names of elements, by commas",
    "_contained": "`true`, `false`, `both`: matches inside other resources",
    "_containedType": "`container` or `contained`: what stands for such a match",
    "_cursor": "the place of a page; links carry it",
    "_include": "`Type:parameter`, `Type:parameter:Target`, `*`: what matches refer to",
    "_include:iterate": "also from what was included",
    "_include:recurse": "as `_include:iterate`",
    "_revinclude": "`Type:parameter`, `Type:parameter:Target`: what refers to matches",
    "_revinclude:iterate": "also to what was included",
    "_revinclude:recurse": "as `_revinclude:iterate`",
}


def pages(found: Plugins) -> dict[str, str]:
    """File name and text of each page, without the note at its top."""
    return {
        "fhir-interactions.md": "\n".join(interactions()) + "\n",
        "fhir-operations.md": "\n".join(operations(found)) + "\n",
        "fhir-search-parameters.md": "\n".join(search_parameters()) + "\n",
    }


def interactions() -> Iterator[str]:
    """Every path and method, then the formats."""
    yield INTERACTIONS
    claimed: dict[tuple[str, str], list[str]] = {}
    for code, method, path in CLAIMS:
        claimed.setdefault((method, path), []).append(f"`{code}`")
    yield from ("", "| request | interaction | what it is |", "|---|---|---|")
    for path, methods in {"": ROOT, **PATHS, **ASIDE}.items():
        for method, interaction in methods.items():
            codes = ", ".join(claimed.get((method, path), []))
            yield row(f"`{method} {PREFIX}{path}`", codes, _purpose(interaction))
    yield from ("", "## Formats", "", "| format | as `Content-Type`, `Accept` or `_format` |", "|---|---|")
    for name, media in (("JSON", formats.JSON), ("XML", formats.XML), ("JSON Patch", formats.JSON_PATCH)):
        yield row(name, ", ".join(f"`{one}`" for one in sorted(media)))


def _purpose(interaction: Interaction) -> str:
    """The first sentence of the module, with its specification as a link."""
    module = inspect.getmodule(interaction.run)
    return linked((module.__doc__ or "").partition("\n\n")[0] if module else "")


def operations(found: Plugins) -> Iterator[str]:
    """The hub's own operations, then those of the plugins of this checkout."""
    yield OPERATIONS
    yield from ("", "| operation | at | by GET | definition | what it does |", "|---|---|---|---|---|")
    for one in OFFERED:
        places = "<br>".join(f"`{place}`" for place in _places(one))
        name = one.url.rpartition("/")[2]
        reads = "yes" if one.reads else "no"
        yield row(f"`${one.name}`", places, reads, f"[{name}]({one.url})", one_line(one.description))
    yield from ("", "## Of plugins", "", "Each has an OperationDefinition to read.", "")
    yield from ("| operation | at | definition | what it does |", "|---|---|---|---|")
    for plugin in found.operations:
        path = f"{PREFIX}/{plugin.resource}/${plugin.name}"
        definition = f"`OperationDefinition/{plugin.resource}-{plugin.name}`"
        yield row(f"`${plugin.name}`", f"`{path}`", definition, one_line(plugin.description))


def _places(one: Offered) -> Iterator[str]:
    base = {"system": "", "type": "/{type}", "instance": "/{type}/{id}"}
    base["version"] = "/{type}/{id}/_history/{version}"
    for level, path in base.items():
        if level in one.on:
            for type_name in sorted(one.types) or ["{type}"]:
                yield f"{PREFIX}{path}/${one.name}".replace("{type}", type_name)


def search_parameters() -> Iterator[str]:
    """What all types share, modifiers, then a table for each type, then what is not offered and why."""
    yield PARAMETERS
    yield from ("", "## Results", "", "| parameter | value and meaning |", "|---|---|")
    yield from (row(f"`{name}`", _MEANING[name]) for name in CONTROLS)
    yield from ("", "## Modifiers", "", "| type | modifiers |", "|---|---|")
    for kind, modifiers in asking.MODIFIERS.items():
        shown = ", ".join(f"`:{one}`" for one in sorted(modifiers) if one) or "none"
        yield row(kind, shown + (", `:{type}`" if kind == "reference" else ""))
    common = [one for one in r4.search_parameters("Basic") if one.code.startswith("_")]
    yield from ("", "## All types", "")
    yield from _table(one for one in common if asking.is_offered(one))
    yield from (row("`_list`", "special", ""), row("`_has`", "special", ""), row("`_type`", "special", ""))
    shared = {one.code for one in common}
    for type_name in sorted(r4.TYPES):
        own = [one for one in r4.search_parameters(type_name) if one.code not in shared]
        if any(asking.is_offered(one) for one in own):
            yield from ("", f"## {type_name}", "")
            yield from _table(one for one in own if asking.is_offered(one))
    yield from ("", "## Not offered", "", "| parameter | why |", "|---|---|")
    yield from _missing()


def _table(parameters: Iterable[r4.SearchParameter]) -> Iterator[str]:
    yield from ("| parameter | type | leads to |", "|---|---|---|")
    for one in sorted(parameters, key=lambda one: one.code):
        many = len(one.targets) > 8
        yield row(f"`{one.code}`", one.type, "many types" if many else ", ".join(one.targets))


def _missing() -> Iterator[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for type_name in sorted(r4.TYPES):
        for one in r4.search_parameters(type_name):
            if not asking.is_offered(one):
                reasons.setdefault((one.code, one.why), []).append(type_name)
    for (code, why), types in reasons.items():
        where = "all types" if len(types) == len(r4.TYPES) else ", ".join(types)
        yield row(f"`{code}` of {where}", "a later version" if code in asking.LATER else why)


def linked(doc: str) -> str:
    """A sentence with its specification as a link."""
    return re.sub(r",? *(https?://[^\s,]+).*", r" ([specification](\1))", one_line(doc))


def one_line(text: str | None) -> str:
    """A text without its line breaks."""
    return " ".join((text or "").split())


def row(*cells: Any) -> str:
    """A row of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
