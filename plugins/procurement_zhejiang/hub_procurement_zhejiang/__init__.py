"""Sanyi Hub adapter: drug procurement at a platform of the Zhejiang type.

Demand becomes an order (`MedicationRequest/$demand`, then the conversation `place-order`), shipments come
in as SupplyDelivery resources, and a person's receipt goes out (`receive-goods`).
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.adapters import Adapter
from hub.hookspecs import Operation, hookimpl
from hub_procurement_zhejiang.adapter import ProcurementAdapter
from hub_procurement_zhejiang.demand import OPERATION
from hub_procurement_zhejiang.settings import ZhejiangSettings

__all__ = ["ProcurementAdapter", "ZhejiangSettings", "register_adapters", "register_operations"]


@hookimpl
def register_adapters() -> Sequence[type[Adapter]]:
    return [ProcurementAdapter]


@hookimpl
def register_operations() -> Sequence[Operation]:
    return [OPERATION]
