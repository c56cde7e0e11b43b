"""Conversations: several deliveries to one system that belong together, kept as durable rows."""

from hub.conversations.document import Document, Step, Unknown, load, read
from hub.conversations.engine import Conversations, Target
from hub.conversations.neighbourhood import references

__all__ = ["Conversations", "Document", "Step", "Target", "Unknown", "load", "read", "references"]
