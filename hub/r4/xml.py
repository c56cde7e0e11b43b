"""FHIR XML both ways, beside JSON (http://hl7.org/fhir/R4/xml.html)."""

from hub.r4.xml_reading import read
from hub.r4.xml_writing import DECLARATION, write

__all__ = ["DECLARATION", "read", "write"]
