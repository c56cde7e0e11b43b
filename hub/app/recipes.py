"""What follows from the settings: address, folders, how messages are understood, where exports lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub import content, mapping, plugins
from hub.api.shape import Shape
from hub.errors import Misconfigured
from hub.exports import Exports
from hub.settings import Settings
from hub.store import Store
from hub.understanding import Bench, Understanding
from hub.validation.rules import Rules


def address(settings: Settings) -> str:
    """Where this hub answers, for the commands that look for it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def exporting(settings: Settings, store: Store) -> Exports:
    """The bulk exports of a hub, and where their files lie."""
    return Exports(
        store,
        settings.exports_at,
        jobs=settings.export_jobs,
        limit=settings.export_lines,
        keep_hours=settings.export_keep_hours,
        shape=lambda body, elements: Shape(elements=elements).of(body),
    )


def mapping_folders(settings: Settings) -> list[Path]:
    """Where mapping sets lie: the shipped ones, then those of the settings (relative to their file)."""
    own = [settings.folder / one for one in settings.mappings]
    for folder in own:
        if not folder.is_dir():
            raise Misconfigured(
                f"{settings.file or 'settings'}: mappings: expected a folder, found none: {folder}"
            )
    return [content.mappings(), *own]


def recipe(settings: Settings) -> Understanding:
    """What another process needs to map long messages by the same settings; it has no store."""
    bench = Bench(settings.zone, settings.fhir_base)
    return understanding(
        settings, mapping.load(mapping_folders(settings)), Rules(plugins.load().rules), bench
    )


def understanding(settings: Settings, mappings: mapping.Mappings, rules: Rules, bench: Any) -> Understanding:
    """How this hub maps and validates; `bench` says zone, base and what is stored already."""
    return Understanding(bench, mappings, rules, hub_key=settings.key_bytes, canonical=settings.canonical)
