"""Write the pages of docs/reference that commands, settings, routes and search parameters speak for.

    python -m tools.build_reference            write the pages
    python -m tools.build_reference --check    exit 1 if a page differs from what the code says

Only the plugins of this checkout are described, whatever else is installed.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from hub import settings
from hub.app import Hub, create_app
from hub.cli.commands import app
from hub.hookspecs import NAMESPACE
from hub.plugins import Plugins, load
from tools import fhir_reference
from tools.fhir_reference import one_line, row

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by tools/build_reference.py (`make docs`) from the code; do not edit. -->\n\n"
COMMANDS = """\
# Commands

Every listing has `--json`. `--config FILE` (or `HUB_CONFIG`) names the settings, before or after the command;
without it `hub.toml` is read if it is there.

Exit codes: 0 good, 1 what was checked is bad, 2 usage or set-up, 3 not reachable. An error is one message on
stderr.

`channel`, `message` and `dead-letter` talk to the running hub: on SQLite the lock file beside the database
names it, on PostgreSQL it is asked at `HUB_HOST`:`HUB_PORT`. If none runs, the command opens the database
itself, with channels not started."""
SETTINGS = """\
# Settings

The hub reads `--config FILE`, else the file that `HUB_CONFIG` names, else `hub.toml` in the working folder,
else it lives on the defaults. A variable of the environment overrides its key. What is wrong is told with
file and key. [hub.example.toml](../../hub.example.toml) is a file to start from."""
HTTP = """\
# HTTP

FHIR R4 (4.0.1) answers below `/fhir`: [interactions](fhir-interactions.md), [operations](fhir-operations.md),
[search parameters](fhir-search-parameters.md). The routes for operators and machines speak JSON and are
described at `/docs`; a listing takes `limit` and `before` (an id: the next page), an error is
`{"error": ...}`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale = [name for name, text in pages().items() if not _is(REFERENCE / name, text)]
    for name in stale:
        if not check:
            (REFERENCE / name).write_text(pages()[name], "utf-8")
        print(f"docs/reference/{name}: {'differs; run make docs' if check else 'written'}")
    return 1 if check and stale else 0


def pages() -> dict[str, str]:
    """File name and text of every page."""
    found = ours()
    return {
        "commands.md": NOTE + "\n".join(commands()) + "\n",
        "settings.md": NOTE + "\n".join(all_settings(found)) + "\n",
        "http.md": NOTE + "\n".join(routes(found)) + "\n",
        **{name: NOTE + text for name, text in fhir_reference.pages(found).items()},
    }


def ours() -> Plugins:
    """The installed plugins that lie in this checkout."""
    names = {f"sanyi-hub-{folder.name.replace('_', '-')}" for folder in (ROOT / "plugins").iterdir()}
    return load(
        one for one in entry_points(group=NAMESPACE) if one.dist is not None and one.dist.name in names
    )


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text("utf-8") == text


# Commands -------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    yield COMMANDS
    for name, command in _leaves("hub", typer.main.get_command(app)):
        parameters = [one for one in command.params if not getattr(one, "hidden", False)]
        arguments = [one for one in parameters if one.param_type_name == "argument"]
        options = [one for one in parameters if one.param_type_name == "option"]
        usage = " ".join([name, *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])])
        yield from ("", f"## {name}", "", f"    {usage}", "", one_line(command.help))
        if parameters:
            yield from ("", "| argument | meaning |", "|---|---|")
            yield from (row(f"`{_written(one)}`", _meaning(one)) for one in [*arguments, *options])


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, one in (inner or {}).items():
        yield from _leaves(f"{name} {word}", one)


def _placeholder(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    if argument.nargs == -1 and not shown.startswith("["):
        return f"[{shown}]..."
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def _written(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _placeholder(parameter)
    return ", ".join(parameter.opts)


def _meaning(parameter: Any) -> str:
    default = parameter.default
    shown = f" (default: `{default}`)" if default not in (None, "", False, 0) else ""
    return f"{one_line(parameter.help)}{shown}"


# Settings -------------------------------------------------------------------------------------------------


def all_settings(found: Plugins) -> Iterator[str]:
    """The hub's keys, a channel's, and those of each adapter."""
    yield SETTINGS
    yield from ("", "## The hub", "", "| key | variable | default | meaning |", "|---|---|---|---|")
    variables = {key: name for name, key in settings.ENVIRONMENT.items()}
    for name, field in settings.Settings.model_fields.items():
        if not field.exclude:
            variable = f"`{variables[name]}`" if name in variables else ""
            yield row(f"`{name}`", variable, _default(field), _described(field))
    yield from ("", "## A channel: `[channels.NAME]`", "")
    yield "NAME is lower-case letters, digits and hyphens. Beside these keys stand those of its adapter."
    yield ""
    yield from _table(settings.ChannelSettings)
    for kind, adapter in sorted(found.adapters.items()):
        yield from ("", f'## `adapter = "{kind}"`', "", one_line(adapter.Settings.__doc__), "")
        yield from _table(adapter.Settings)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        yield row(f"`{name}`", _type(field.annotation), _default(field), _described(field))


def _described(field: FieldInfo) -> str:
    return one_line(field.description or "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        return "a development key" if value.get_secret_value() else ""
    if value is None or value in ("", (), {}, []):
        return ""
    shown = (
        str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value
    )
    return f"`{shown}`"


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{one}`" if one else "empty" for one in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return "table"
    if hasattr(annotation, "__metadata__"):
        return _type(inner[0])
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret"}
    return words.get(annotation, getattr(annotation, "__name__", "text"))


# HTTP -----------------------------------------------------------------------------------------------------


def routes(found: Plugins) -> Iterator[str]:
    """The routes for operators and machines."""
    yield HTTP
    chosen = settings.build({})
    described: dict[str, Any] = create_app(chosen, hub=Hub(chosen, found=found)).openapi()
    yield from ("", "## Operators and machines", "", "| request | what it is |", "|---|---|")
    for path, methods in sorted(described["paths"].items()):
        for method, route in methods.items():
            query = [one["name"] for one in route.get("parameters", []) if one["in"] == "query"]
            asked = f" Query: {', '.join(f'`{name}`' for name in query)}." if query else ""
            yield row(f"`{method.upper()} {path}`", one_line(route.get("description", "")) + asked)


if __name__ == "__main__":
    raise SystemExit(main())
