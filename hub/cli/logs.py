"""Logs: one line each, `time level logger message name=value ...`, with ids and paths and never a value.

An exception is told as its type and the places it passed; its text only when it is one of the hub's own,
whose texts quote nothing.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from types import TracebackType

from hub.errors import HubError

_KNOWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_QUERY = re.compile(r"\?[^\s\"]*")
_CARD = re.compile(r"(?<!\d)[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[012]\d|3[01])\d{3}[\dXx](?!\w)")
"""An identity number (GB 11643), wherever it got in: a client may use one as an id in a path."""
_PLAIN = re.compile(r"[\w./:@+-]+")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Lines(logging.Formatter):
    """Writes one line per record."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = f"{moment}.{int(record.msecs):03d}Z {record.levelname.lower()} {record.name}"
        extra = "".join(
            f" {name}={_quoted(value)}" for name, value in vars(record).items() if name not in _KNOWN
        )
        text = record.getMessage().replace("\n", " ")
        error = f" {self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{head} {_CARD.sub('***', f'{text}{extra}{error}')}"

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802
        """`error=KeyError at=hub/api/read.py:12,...`: where it passed, not what it held."""
        kind, error, trace = ei
        if kind is None:
            return ""
        text = f"{kind.__name__}: {error}" if isinstance(error, HubError) else kind.__name__
        places = [f"{_short(frame.filename)}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
        return f"error={_quoted(text)} at={','.join(places[-8:])}"


class MaskQuery(logging.Filter):
    """Replaces query strings: they name persons."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _QUERY.sub("?***", one) if isinstance(one, str) else one for one in record.args
            )
        return True


def configure(level: str = "INFO") -> None:
    """Send every log line to stderr."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Lines())
    lines.addFilter(MaskQuery())
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(level)
    for name in ("httpx", "httpcore", "asyncio", "alembic.runtime.plugins"):
        logging.getLogger(name).setLevel("WARNING")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', "'").replace("\n", " ") + '"'


def _short(path: str) -> str:
    return "/".join(path.replace("\\", "/").split("/")[-3:])
