"""FHIR R4 (4.0.1): codec, definitions and search extraction. The only package that names a FHIR version.

Everything comes from the generated pack in `definitions/`, one type at a time, when it is first needed.
"""

from hub.r4.codec import Literal, decode, encode, load, splice, tree, untree
from hub.r4.definitions import (
    COMPARTMENTS,
    DATA_TYPES,
    PRIMITIVES,
    TYPES,
    Constraint,
    Definition,
    Element,
    SearchParameter,
    base_of,
    code_system,
    code_systems,
    codes,
    codings,
    constraints,
    definition,
    element,
    is_type,
    kinds,
    members,
    search_parameter,
    search_parameters,
)
from hub.r4.hashes import (
    TEXT_LIMIT,
    fold,
    hash_identifier,
    hash_of_type,
    hash_pair,
    hash_reference,
    hash_text,
    hash_token,
    hash_uri,
)
from hub.r4.issues import collect
from hub.r4.loose import LOOSE_TYPES, loose_keys
from hub.r4.ranges import MAX_MICROS, MIN_MICROS, date_range, number_range
from hub.r4.rows import CONTAINED
from hub.r4.rows import local as local_reference
from hub.r4.search import Keys, keys
from hub.r4.sound import sound
from hub.r4.structs import resource_type, struct, target_type

__all__ = [
    "COMPARTMENTS",
    "CONTAINED",
    "DATA_TYPES",
    "LOOSE_TYPES",
    "MAX_MICROS",
    "MIN_MICROS",
    "PRIMITIVES",
    "TEXT_LIMIT",
    "TYPES",
    "Constraint",
    "Definition",
    "Element",
    "Keys",
    "Literal",
    "SearchParameter",
    "base_of",
    "code_system",
    "code_systems",
    "codes",
    "codings",
    "collect",
    "constraints",
    "date_range",
    "decode",
    "definition",
    "element",
    "encode",
    "fold",
    "hash_identifier",
    "hash_of_type",
    "hash_pair",
    "hash_reference",
    "hash_text",
    "hash_token",
    "hash_uri",
    "is_type",
    "keys",
    "kinds",
    "load",
    "local_reference",
    "loose_keys",
    "members",
    "number_range",
    "resource_type",
    "search_parameter",
    "search_parameters",
    "sound",
    "splice",
    "struct",
    "target_type",
    "tree",
    "untree",
]
