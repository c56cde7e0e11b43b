"""FHIRPath, compiled to Python: search, invariants, mappings, patch and TestScript all use this one engine.

    compile(text) → Expression      call it, or ask `.first(...)` and `.truth(...)`
    parse(text) → ast.Node          the syntax tree, for those who generate code of their own
    unparse(node) → text            the inverse of parse
    check(text, "Patient")          what does not fit a type: misspelt members and the like

http://hl7.org/fhirpath/N1/ and http://hl7.org/fhir/R4/fhirpath.html; docs/reference/fhirpath.md says what is
supported.
"""

from __future__ import annotations

from hub.fhirpath import ast
from hub.fhirpath.checking import check
from hub.fhirpath.errors import EvaluationError, InvalidExpression, TooCostly
from hub.fhirpath.expression import Expression, compile
from hub.fhirpath.functions.signature import Function
from hub.fhirpath.nodes import Tree
from hub.fhirpath.parser import parse
from hub.fhirpath.printing import unparse
from hub.fhirpath.types import Types, use_types

__all__ = [
    "EvaluationError",
    "Expression",
    "Function",
    "InvalidExpression",
    "TooCostly",
    "Tree",
    "Types",
    "ast",
    "check",
    "compile",
    "parse",
    "unparse",
    "use_types",
]
