"""An invented county as FHIR: who its patients are follows from their number, so that questions can be asked
of the data without reading it. `volume` 1 has 500 patients and 6,500 resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

from hub.testing.people import check_digit

PATIENTS = 500
OBSERVATIONS = 8
ID_CARD = "https://sanyi-hub.org/fhir/sid/cn-id-card"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CODES = (
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 95, 185),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 55, 110),
    ("8867-4", "Heart rate", "/min", 50, 120),
    ("15074-8", "Glucose", "mmol/L", 4, 19),
    ("4548-4", "Hemoglobin A1c", "%", 5, 12),
    ("29463-7", "Body weight", "kg", 45, 98),
    ("8302-2", "Body height", "cm", 148, 190),
    ("8310-5", "Body temperature", "Cel", 35, 39),
)
SURNAMES = "测试样例演示甲乙丙丁戊己庚辛壬癸子丑寅卯"
GIVEN = "辰巳午未申酉戌亥春夏秋冬东西南北"
DAYS = 2200
FIRST_DAY = date(2020, 1, 1)


def patients(volume: int) -> int:
    """How many there are."""
    return PATIENTS * volume


def name_of(number: int) -> tuple[str, str]:
    """Family and given name of a patient."""
    rng = Random(number)
    return rng.choice(SURNAMES) + rng.choice(SURNAMES), rng.choice(GIVEN) + rng.choice(GIVEN)


def id_card(number: int) -> str:
    """A number that passes the check; every patient has another one."""
    birth = date(1940, 1, 1) + timedelta(days=number // 900 % 18_000)
    first17 = f"370502{birth:%Y%m%d}{number % 900 + 100:03d}"
    return first17 + check_digit(first17)


def day(rng: Random) -> str:
    """A day of the years that are covered."""
    return (FIRST_DAY + timedelta(days=rng.randrange(DAYS))).isoformat()


def patient(number: int) -> dict[str, Any]:
    family, given = name_of(number)
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": ID_CARD, "value": id_card(number)}],
        "active": True,
        "name": [{"text": family + given, "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": f"138{number:08d}", "use": "mobile"}],
        "gender": "female" if number % 2 else "male",
        "birthDate": (date(1940, 1, 1) + timedelta(days=number // 900 % 18_000)).isoformat(),
        "address": [{"text": "山东省东营市东营区史口镇", "city": "东营市", "postalCode": "257082"}],
    }


def observation(number: int, which: int) -> dict[str, Any]:
    """The `which`-th observation of a patient, one of each kind in turn."""
    code, display, unit, low, high = CODES[which % len(CODES)]
    rng = Random(number * 100 + which)
    value = rng.randrange(low * 10, high * 10) / 10
    return {
        "resourceType": "Observation",
        "id": f"o{number}-{which}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}]},
        "subject": {"reference": f"Patient/p{number}"},
        "effectiveDateTime": f"{day(rng)}T08:{rng.randrange(60):02d}:00+08:00",
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
    }


def medication_request(number: int, which: int) -> dict[str, Any]:
    rng = Random(number * 100 + which + 50)
    return {
        "resourceType": "MedicationRequest",
        "id": f"m{number}-{which}",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": "https://sanyi-hub.org/fhir/sid/rx", "value": f"RX{number}-{which}"}],
        "medicationCodeableConcept": {
            "coding": [
                {"system": "https://sanyi-hub.org/fhir/drug", "code": f"XC08CA{rng.randrange(400):03d}"}
            ],
            "text": "苯磺酸氨氯地平片",
        },
        "subject": {"reference": f"Patient/p{number}"},
        "authoredOn": day(rng),
        "dosageInstruction": [{"text": "每日一次", "route": {"text": "口服"}}],
        "dispenseRequest": {"quantity": {"value": 12, "unit": "盒"}},
    }


def claim(number: int) -> dict[str, Any]:
    rng = Random(number * 100 + 90)
    amount = {"value": 120, "currency": "CNY"}
    return {
        "resourceType": "Claim",
        "id": f"c{number}",
        "status": "active",
        "type": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "pharmacy"}]
        },
        "use": "claim",
        "patient": {"reference": f"Patient/p{number}"},
        "created": day(rng),
        "provider": {"display": "史口镇卫生院"},
        "priority": {"coding": [{"code": "normal"}]},
        "prescription": {"reference": f"MedicationRequest/m{number}-0"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "城乡居民基本医疗保险"}}],
        "item": [{"sequence": 1, "productOrService": {"text": "苯磺酸氨氯地平片"}, "net": amount}],
        "total": amount,
    }


def supply_delivery(number: int) -> dict[str, Any]:
    return {
        "resourceType": "SupplyDelivery",
        "id": f"s{number}",
        "status": "completed",
        "patient": {"reference": f"Patient/p{number}"},
        "suppliedItem": {
            "quantity": {"value": 12, "unit": "盒"},
            "itemCodeableConcept": {"text": "氨氯地平"},
        },
        "occurrenceDateTime": day(Random(number * 100 + 91)),
    }


def everything(volume: int) -> Iterator[dict[str, Any]]:
    """Every resource, what is referred to first."""
    for number in range(patients(volume)):
        yield patient(number)
        for which in range(OBSERVATIONS):
            yield observation(number, which)
        for which in range(2):
            yield medication_request(number, which)
        yield claim(number)
        yield supply_delivery(number)
