"""Where the hub's own content lies: in the wheel inside the package, or in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

from hub.errors import Misconfigured

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED, _CHECKOUT = _PACKAGE / "_content", _PACKAGE.parent


def folder(name: str) -> Path:
    """The folder `mappings` or `conformance`; Misconfigured where the hub was installed without it.

    A wheel carries it as `hub/_content/NAME`; a checkout, and an editable install of one, has NAME beside
    the package.
    """
    for candidate in (_SHIPPED / name, _CHECKOUT / name):
        if candidate.is_dir():
            return candidate
    raise Misconfigured(f"{_SHIPPED / name}: expected the hub's {name} here, found no such folder")


def mappings() -> Path:
    """The folder whose subfolders are the mapping sets."""
    return folder("mappings")


def conformance() -> Path:
    """The FHIR package of profiles, examples and TestScripts."""
    return folder("conformance")
