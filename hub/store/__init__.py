"""The store: resources with their versions and search index, inbox, outbox and audit, in one database."""

from hub.store.backend import Reader, Tx
from hub.store.opening import open_store
from hub.store.statements import Statement, insert_into, statement
from hub.store.store import Store

__all__ = ["Reader", "Statement", "Store", "Tx", "insert_into", "open_store", "statement"]
