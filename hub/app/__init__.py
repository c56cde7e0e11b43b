"""The wiring: from settings to a running hub, and from a running hub to an ASGI application."""

from hub.app.application import create_app
from hub.app.hub import Hub
from hub.app.recipes import address, mapping_folders

__all__ = ["Hub", "address", "create_app", "mapping_folders"]
