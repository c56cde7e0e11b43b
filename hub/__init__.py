"""Sanyi Hub: a plugin-based HL7 FHIR R4 integration hub."""
