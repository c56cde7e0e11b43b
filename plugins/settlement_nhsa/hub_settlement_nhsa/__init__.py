"""Sanyi Hub adapter for the settlement interface of the national healthcare security platform (NHSA)."""

from __future__ import annotations

from collections.abc import Sequence

from hub.adapters import Adapter
from hub.hookspecs import Rule, hookimpl
from hub_settlement_nhsa import rules
from hub_settlement_nhsa.adapter import NhsaAdapter


@hookimpl
def register_adapters() -> Sequence[type[Adapter]]:
    return [NhsaAdapter]


@hookimpl
def register_rules() -> Sequence[Rule]:
    return [rules.SETTLEMENT_ADDS_UP]
