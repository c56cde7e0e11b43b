"""The hub's own FHIR operations, one file each (http://hl7.org/fhir/R4/operationslist.html)."""

from __future__ import annotations

from hub.api.exchange import Offered
from hub.api.operations.everything import ENCOUNTER_EVERYTHING, PATIENT_EVERYTHING
from hub.api.operations.expand import EXPAND
from hub.api.operations.export import EXPORT, GROUP_EXPORT, PATIENT_EXPORT
from hub.api.operations.lookup import LOOKUP
from hub.api.operations.match import MATCH
from hub.api.operations.meta import META, META_ADD, META_DELETE
from hub.api.operations.process_message import PROCESS_MESSAGE
from hub.api.operations.status import STATUS
from hub.api.operations.subsumes import SUBSUMES
from hub.api.operations.translate import TRANSLATE
from hub.api.operations.validate import VALIDATE
from hub.api.operations.validate_code import VALIDATE_CODE_OF_CODE_SYSTEM, VALIDATE_CODE_OF_VALUE_SET

OFFERED: tuple[Offered, ...] = (
    ENCOUNTER_EVERYTHING,
    PATIENT_EVERYTHING,
    EXPAND,
    EXPORT,
    GROUP_EXPORT,
    PATIENT_EXPORT,
    LOOKUP,
    MATCH,
    META,
    META_ADD,
    META_DELETE,
    PROCESS_MESSAGE,
    STATUS,
    SUBSUMES,
    TRANSLATE,
    VALIDATE,
    VALIDATE_CODE_OF_CODE_SYSTEM,
    VALIDATE_CODE_OF_VALUE_SET,
)
"""Every operation, in the order of the alphabet."""


def offered(type_name: str, id: str, name: str, version: str = "") -> Offered | None:
    """The operation of this name at this level, or None."""
    level = "version" if version else "instance" if id else "type" if type_name else "system"
    for one in OFFERED:
        if (
            one.name == name
            and level in one.on
            and (not type_name or not one.types or type_name in one.types)
        ):
            return one
    return None
