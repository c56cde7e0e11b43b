"""Bulk Data exports: resources of a moment, written to files of one resource per line.

http://hl7.org/fhir/uv/bulkdata/export.html
"""

from hub.exports.asked import Asked, Criteria, File, Level, Progress, decoded, encoded
from hub.exports.engine import Exports
from hub.exports.job import Job
from hub.exports.members import patients_of

__all__ = [
    "Asked",
    "Criteria",
    "Exports",
    "File",
    "Job",
    "Level",
    "Progress",
    "decoded",
    "encoded",
    "patients_of",
]
