"""Generated lines that nobody needs: values never read, and variables the FHIRPath engine never asks for.

A fragment of names is included where only some of them are used; what the others cost is saved here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_TELLS = re.compile(r"(?P<indent> *)(?P<local>\w+ = )?E\['(?P<name>\w+)'\] = (?P<value>.*)")
_LOCAL = re.compile(r"( *)(l_\d+) = (.*)")
_NAME = re.compile(r"\bl_\d+\b")
_ACTS = re.compile(r"\bR\b(?!\.context)|\bx\d+\.|\bE\[")
"""What may warn, count, refuse, fail or tell the engine: it stays, whether or not its value is read."""


def without_idle(lines: list[str], asked: set[str]) -> list[str]:
    """The lines that do something; `asked` are the variables that the FHIRPath engine looks up."""
    kept = list(_told("\n".join(lines).split("\n"), asked))
    while True:
        reads = Counter(name for line in kept for name in _reads(line))
        needed = [line for line in kept if not _idle(line, reads)]
        if len(needed) == len(kept):
            return kept
        kept = needed


def _told(lines: list[str], asked: set[str]) -> Iterator[str]:
    for line in lines:
        tells = _TELLS.fullmatch(line)
        if line.endswith(" = E.get('index')"):
            if "index" in asked:
                yield line
        elif tells is None or tells["name"] in asked:
            yield line
        else:
            yield f"{tells['indent']}{tells['local'] + tells['value'] if tells['local'] else 'pass'}"


def _reads(line: str) -> list[str]:
    local = _LOCAL.fullmatch(line)
    return _NAME.findall(local[3] if local else line)


def _idle(line: str, reads: Counter[str]) -> bool:
    local = _LOCAL.fullmatch(line)
    return local is not None and not reads[local[2]] and not _ACTS.search(local[3])
