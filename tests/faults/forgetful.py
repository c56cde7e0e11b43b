"""A hub with a fault put in: what it sends is not committed before the send.

The claim of the row, its bytes and its business id stay in memory; the counter alone is kept, as otherwise
not even the numbers would differ. The kill comes while it stands still after a settlement: the row looks
untouched and goes out anew, with a new number, and the loop must find what the hub knows nothing of.
"""

from typing import Any

import standstill  # noqa: F401  (beside this script)

from hub.store import outbox


async def claim(*_: Any) -> bool:
    return True


async def write(*_: Any) -> None:
    return None


outbox.claim = claim
outbox.write = write

if __name__ == "__main__":
    from hub.cli import main

    main()
