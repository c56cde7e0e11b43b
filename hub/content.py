"""Where the hub's own content lies: in the wheel beside the package, or in a checkout above it."""

from __future__ import annotations

from pathlib import Path

from hub.errors import Misconfigured

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `mappings` or `conformance`: `hub/_content/NAME` of a wheel, else NAME beside the package."""
    for candidate in (_PACKAGE / "_content" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise Misconfigured(f"{_PACKAGE / '_content' / name}: expected the hub's {name} here, found no such folder")


def mappings() -> Path:
    """The folder whose subfolders are the mapping sets."""
    return folder("mappings")
