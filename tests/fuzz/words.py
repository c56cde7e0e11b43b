"""Values that somebody sends: plausible ones, and those that break software."""

from __future__ import annotations

import random

TEXTS = (
    "", " ", "a", "Zhang", "王小明", "é", "e\u0301", "ß", "İ", "\u202e", "\ufeff", "\ufffe", "👨‍👩‍👧",
    "\U0010ffff",
    "\x01", "\x7f", "\u0085", "\u2028", "\t", "\r\n", "a b", "'", "''", '"', "\\", "\\\\", "\\,", "\\|",
    "\\$", "\\x",
    ",", ",,", "|", "||", "|||", "$", "$$", "*", "%", "_", "%25", "%s%n", "{0}", "${x}", "<x/>", "../..",
    "a/b", "#", "#a",
    "?", "&", "=", "+", ";", ":", "::", ".", "..", "null", "true", "false", "NaN", "Infinity", "-Infinity",
    "1'; DROP TABLE x --",
    "' OR '1'='1", "a*", "(a+)+$", "[", "(", "a" * 63, "a" * 64, "a" * 65, "字" * 300, "a" * 5000,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "100", "5.4", "0.00", "1e0", "1e400", "-1e400", "1e-400", "1e999999999", "9" * 40,
    "9" * 400,
    "0." + "0" * 200 + "1", "1.", ".5", "+1", "--1", "1,5", "0x10", "1_000", "١", "NaN", "inf", "1e", "e5",
    "2147483648",
    "9223372036854775808", "-9223372036854775809",
)  # fmt: skip
DATES = (
    "2026", "2026-02", "2026-02-28", "2026-02-30", "2026-13-45", "0000-00-00", "0001-01-01", "0000", "9999",
    "9999-12-31",
    "9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999999-14:00", "0001-01-01T00:00:00+14:00",
    "2026-02-01T24:00:00Z",
    "2026-02-01T08:00", "2026-02-01T08:00:00Z", "2026-02-01T08:00:00.123+08:00",
    "2026-02-01T08:00:00+99:99", "2026-02-29",
    "1900-02-29", "12345", "-2026", "2026-2-1", "20260201", "2026-02-01T", "now", "2026-06-31T10:00:60Z",
    "1e9",
)  # fmt: skip
PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "zz", "GE")
CODES = (
    "male", "http://loinc.org|8867-4", "|a", "a|", "http://x|",
    "http://hl7.org/fhir/administrative-gender|female",
    "urn:oid:1.2.3|x", "a|b|c", "a|b|c|d", "http://unitsofmeasure.org|mg",
)  # fmt: skip
REFERENCES = (
    "Patient/p0", "p0", "Patient/p1/_history/1", "Patient/", "/p0", "Nonsense/1",
    "http://elsewhere.example/fhir/Patient/1",
    "urn:uuid:00000000-0000-4000-8000-000000000001", "#inside", "Patient/" + "a" * 65,
    "Patient?identifier=a|b", "file:///etc/passwd",
    "http://[::1", "http://a b/", "//x/y", "Patient/../Claim/1", "http://127.0.0.1:8080/fhir/Patient/p0",
)  # fmt: skip


def any_of(rng: random.Random) -> str:
    """Any word at all."""
    return rng.choice(rng.choice((TEXTS, NUMBERS, DATES, CODES, REFERENCES)))


def garbage(rng: random.Random, most: int = 40) -> str:
    """Characters by chance, few of them ordinary; no surrogates."""
    planes = ((0, 0x80), (0, 0x80), (0x80, 0xD800), (0x4E00, 0x9FFF), (0xE000, 0x10FFFF))
    return "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(rng.randrange(most)))
