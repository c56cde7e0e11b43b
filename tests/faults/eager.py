"""A hub with a fault put in: it acknowledges before the commit. The loop must find messages lost.

The commit never comes while this hub lives, so what it acknowledged is lost when it is killed. The product
has no such switch; this script patches the class and then runs `hub` as it is.
"""

from typing import Any

from hub.messages import Outcome
from hub.pipeline import Pipeline


async def acknowledge_first(*_: Any) -> Outcome:
    return Outcome(code="accepted")


Pipeline.take = acknowledge_first  # type: ignore[method-assign]

if __name__ == "__main__":
    from hub.cli import main

    main()
