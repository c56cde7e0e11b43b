"""A folder in which commands run as people run them."""

from tests.integration.cli.conftest import place, running

__all__ = ["place", "running"]
