"""The pack comes out of the same wheel byte for byte, with and without the numbers already given."""

from __future__ import annotations

import os
from pathlib import Path

from tools import build_r4


def test_the_pack_is_rebuilt_byte_for_byte() -> None:
    core = build_r4.read_core(Path(os.environ["HUB_R4_WHEEL"]))
    assert build_r4.build(core, build_r4.known_numbers()) == build_r4.read_pack()
    assert build_r4.build(core, {}) == build_r4.read_pack()
