"""Choice elements: in a path `value`, in JSON `valueQuantity` (http://hl7.org/fhir/R4/formats.html#choice).

Over plain JSON nobody knows which type a member belongs to, so the table goes by name alone: every type that
the choice may have anywhere. A test compares it with the definitions of `hub.r4`.
"""

from __future__ import annotations

_ANY = (
    "Address Age Annotation Attachment CodeableConcept Coding ContactDetail ContactPoint Contributor Count "
    "DataRequirement Distance Dosage Duration Expression HumanName Identifier Meta Money ParameterDefinition "
    "Period Quantity Range Ratio Reference RelatedArtifact SampledData Signature Timing TriggerDefinition "
    "UsageContext base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid "
    "positiveInt string time unsignedInt uri url uuid"
)
_TABLE = """
value defaultValue fixed pattern: *
additive chargeItem code definingSubstance diagnosis entity indication: CodeableConcept Reference
item medication procedure product statusReason subject substance topic: CodeableConcept Reference
collected created date identified occurred time: Period dateTime
abatement onset performed: Age Period Range dateTime string
age: Age CodeableConcept Range string
allowed: CodeableConcept Money boolean string unsignedInt
amount: Quantity Range Ratio string
answer: Coding Quantity Reference boolean date dateTime decimal integer string time
asNeeded: CodeableConcept boolean
author: Reference string
born: Period date string
bounds: Duration Period Range
characteristic: CodeableConcept Quantity
content: Attachment Reference string
deceased: Age Range boolean date dateTime string
definition: CodeableConcept DataRequirement Expression Reference TriggerDefinition canonical uri
detail: CodeableConcept Quantity Range Ratio boolean integer string
dose: Quantity Range
doseNumber seriesDoses: positiveInt string
due: Duration date
effective: Period Timing dateTime instant
event: Coding uri
example: boolean canonical
fastingStatus: CodeableConcept Duration
legallyBinding: Attachment Reference
location: Address CodeableConcept Reference
manufacturer: Reference string
maxValue minValue: Quantity date dateTime decimal instant integer positiveInt time unsignedInt
minimumVolume: Quantity string
module: CodeableConcept canonical uri
multipleBirth: boolean integer
name: Reference url
occurrence: Period Timing dateTime string
offset: Duration Range
participantEffective studyEffective: Duration Period Timing dateTime
probability: Range decimal
quantity rate: Quantity Range Ratio
reported: Reference boolean
scheduled: Period Timing string
serviced: Period date
source: Attachment Reference canonical uri
start: CodeableConcept date
target: Identifier Reference canonical uri
timing: Age Duration Period Range Reference Timing date dateTime
used: Money string unsignedInt
when: Period Range
"""


def _read() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for line in _TABLE.strip().splitlines():
        names, _, kinds = line.partition(":")
        for name in names.split():
            types = _ANY if kinds.strip() == "*" else kinds
            table[name] = {name + kind[0].upper() + kind[1:]: kind for kind in types.split()}
    return table


CHOICES: dict[str, dict[str, str]] = _read()
"""Element name → JSON name → type: `CHOICES["value"]["valueQuantity"]` is `Quantity`."""
