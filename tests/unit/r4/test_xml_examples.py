"""HL7's published examples (4.0.1) through XML and back: every literal, every list, every narrative."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.r4 import xml
from tests.unit.r4.conftest import EXAMPLES
from tests.unit.r4.test_codec import literal


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_an_example_comes_back_from_xml_as_it_was(path: Path) -> None:
    body = path.read_bytes()
    document = xml.write(body)
    back = xml.read(document)
    assert literal(back) == literal(body)
    assert xml.write(back) == document
    assert xml.read(xml.write(body, pretty=True)) == back
