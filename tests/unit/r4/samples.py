"""Invented resources that the tests of this folder share."""

from __future__ import annotations

PATIENT = (
    '{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","tag":[{"system":"http://e.org/t","code":"x"}]},'
    '"identifier":[{"system":"urn:oid:2.16.156.10011.1.3","value":"330106196809120021"}],"active":true,'
    '"name":[{"text":"林晓月","family":"林","given":["晓月"]}],'
    '"telecom":[{"system":"phone","value":"+86 571 0000"}],'
    '"gender":"female","birthDate":"1968-09-12","_birthDate":{"extension":[{"url":"http://e.org/time",'
    '"valueDateTime":"1968-09-12T08:15:00+08:00"}]},"deceasedBoolean":false,'
    '"contact":[{"name":{"family":"林"}}],"managingOrganization":{"reference":"http://hub.test/fhir/Organization/o1"}}'
).encode()

OBSERVATION = (
    b'{"resourceType":"Observation","id":"bp","status":"final","code":{"coding":[{"system":"http://loinc.org",'
    b'"code":"85354-9"}]},"subject":{"reference":"Patient/p1/_history/2"},"effectiveDateTime":"2026-02-01",'
    b'"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":'
    b'{"value":142.50,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}'
)

CLAIM = (
    b'{"resourceType":"Claim","id":"c1","status":"active","type":{"text":"pharmacy"},"use":"claim","patient":'
    b'{"reference":"Patient/p1"},"created":"2026-02-01T09:30:00+08:00","provider":{"reference":"Organization/o1"},'
    b'"priority":{"text":"normal"},"insurance":[{"sequence":1,"focal":true,"coverage":{"reference":"Coverage/v1"}}],'
    b'"item":[{"sequence":1,"productOrService":{"text":"amlodipine"},"unitPrice":{"value":105.00,"currency":"CNY"},'
    b'"factor":1e2,"net":{"value":0.0000001}}],"total":{"value":-0.0}}'
)
