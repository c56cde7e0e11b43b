"""Changes to a stored resource: JSON Patch (RFC 6902) and FHIRPath Patch, applied to plain JSON.

http://hl7.org/fhir/R4/http.html#patch and http://hl7.org/fhir/R4/fhirpatch.html
"""
