"""From a criterion as asked to conditions on index rows, for all that needs nothing looked up.

The first of the conditions is the one that can drive a search; others follow where rows alone cannot tell.
http://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, tzinfo
from functools import partial

from hub import r4
from hub.store.backend import Reader
from hub.store.keys import Packed
from hub.store.search import values as read
from hub.store.search.conditions import (
    Among,
    Candidate,
    Checked,
    Condition,
    Equal,
    Keyed,
    Limits,
    Near,
    OneOf,
    Present,
    Range,
    Span,
    Text,
    Updated,
    Wanted,
)
from hub.store.search.escapes import BadValue, split, unescape
from hub.store.search.query import Asked
from hub.store.search.recheck import certain, of_system
from hub.store.search.tokens import token_keys
from hub.store.search.words import check_words, matcher

MAX_KEYS = 256
"""More keys, texts or ranges than this follow another driver instead of driving themselves."""
NEAR_KM = 50.0
"""How far `near` reaches where no distance is given."""
_KM = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "mi": 1.609344, "[mi_us]": 1.609347, "[ft_i]": 0.0003048}
_MIME = re.compile(r"[\w.+-]+/[\w.+*-]+", re.ASCII)
_SELF = frozenset({"_id", "_lastUpdated", "_text", "_content", "_list", "_has"})
TERMINOLOGY = frozenset({"in", "not-in", "above", "below"})


def conditions(asked: Asked, reader: Reader) -> list[Condition]:
    """The conditions of a criterion that follows no chain and asks no terminology.

    ValueError for a value that cannot be read.
    """
    return _conditions(asked, reader.zone, reader.base_url)


def check(asked: Asked) -> None:
    """ValueError if a value cannot be read."""
    code, modifier = asked.parameter.code, asked.modifier
    if modifier == "missing":
        _conditions(asked, UTC, "")
    elif code == "_lastUpdated":
        read.date_spans(asked.values, UTC)
    elif code in ("_text", "_content"):
        for value in asked.values:
            check_words(value)
    elif code == "_list":
        _check_lists(asked.values)
    elif code in _SELF:
        return
    elif asked.parameter.type == "token" and modifier in TERMINOLOGY and not is_mime(asked):
        _check_concepts(modifier, asked.values)
    elif asked.parameter.type == "reference" and modifier in ("above", "below"):
        return
    else:
        _conditions(asked, UTC, "")


def _check_lists(values: tuple[str, ...]) -> None:
    for value in values:
        if value.startswith("$"):
            raise BadValue("lists by function are not offered; name the id of a List")


def _check_concepts(modifier: str, values: tuple[str, ...]) -> None:
    if modifier in ("above", "below"):
        for value in values:
            if not all(read.parts_of_token(value)):
                raise BadValue("expected system|code")


def is_mime(asked: Asked) -> bool:
    """Whether MIME types are asked for, which are below another by their text alone."""
    return asked.modifier == "below" and all(_MIME.fullmatch(value) for value in asked.values)


def updated(values: tuple[str, ...], zone: tzinfo) -> Updated:
    """`_lastUpdated`."""
    return Updated(read.date_spans(values, zone))


def _conditions(asked: Asked, zone: tzinfo, base: str) -> list[Condition]:
    parameter, modifier, values = asked.parameter, asked.modifier, asked.values
    number = parameter.number
    if modifier == "missing":
        if values not in (("true",), ("false",)):
            raise BadValue("expected true or false")
        return [Present(number, negated=values == ("true",))]
    if parameter.code in ("_text", "_content"):
        return [_searched(parameter.code, values)]
    match parameter.type:
        case "token":
            return _tokens(asked)
        case "reference":
            return _references(asked, base)
        case "string":
            return _strings(asked)
        case "uri":
            return _uris(asked, base)
        case "date":
            return _ranges(number, read.date_spans(values, zone))
        case "number":
            return _ranges(number, tuple(read.number_span(value) for value in values))
        case "quantity":
            return _quantities(asked)
        case "special":
            return [Present(number), Near(number, tuple(_place(value) for value in values))]
        case _:
            return _composites(asked, zone, base)


def equals(number: int, keys: Iterable[int], negated: bool = False) -> list[Condition]:
    """One of these keys, however many there are."""
    found = tuple(dict.fromkeys(keys))
    if len(found) <= MAX_KEYS:
        return [Equal(number, found, negated)]
    among = Among(number, frozenset(found), negated)
    return [among] if negated else [Present(number), among]


def sure(asked: Asked) -> Checked:
    """That the body really says so."""
    return Checked(lambda one, rows: certain(asked, one.body))


def _tokens(asked: Asked) -> list[Condition]:
    number, values = asked.parameter.number, asked.values
    match asked.modifier:
        case "text":
            texts = [unescape(value) for value in values]
            if not all(map(r4.fold_text, texts)):
                raise BadValue("expected some text")
            return _starting(asked, texts)
        case "of-type":
            return equals(number, map(read.of_type_key, values))
        case "below":
            return [Present(number), sure(asked)]
        case _:
            keys = (key for value in values for key in token_keys(asked.parameter, value))
            return equals(number, keys, asked.modifier == "not")


def _references(asked: Asked, base: str) -> list[Condition]:
    parameter, modifier, values = asked.parameter, asked.modifier, asked.values
    if modifier == "identifier":
        return equals(parameter.number, map(read.identifier_key, values))
    if modifier == "below":  # of a canonical: any version, or any that begins so
        urls = [unescape(value).partition("|")[0] for value in values]
        return [*equals(parameter.number, map(r4.hash_reference, urls)), sure(asked)]
    return equals(
        parameter.number,
        (key for value in values for key in read.reference_keys(parameter, modifier, value, base)),
    )


def _strings(asked: Asked) -> list[Condition]:
    parameter, modifier = asked.parameter, asked.modifier
    number, values = parameter.number, [unescape(value) for value in asked.values]
    if parameter.sounds:
        return _texts(number, (Wanted("starts", r4.sound(value)) for value in values))
    if not all(value.strip() for value in values):
        raise BadValue("expected some text")
    folded = [r4.fold_text(value) for value in values]
    if modifier == "exact":
        return [*_texts(number, (Wanted("exact", text) for text in folded)), sure(asked)]
    if modifier == "contains" and all(folded):
        return _contained(asked, folded)
    return _starting(asked, values)


def _starting(asked: Asked, values: list[str]) -> list[Condition]:
    """Texts that begin with one of the values; where rows cannot tell, the body does."""
    number = asked.parameter.number
    folded = [r4.fold_text(value) for value in values]
    if not all(folded):  # nothing but punctuation
        return [Present(number), sure(asked)]
    words = any(r4.has_words(steps, kind) for steps, kind, *_ in asked.parameter.plan or ())
    wanted = [text for one in folded for text in ((one, r4.WORD + one) if words else (one,))]
    found = _texts(number, (Wanted("starts", text) for text in wanted))
    return [*found, sure(asked)] if any(len(text) == r4.TEXT_LIMIT for text in folded) else found


def _contained(asked: Asked, folded: list[str]) -> list[Condition]:
    """`:contains`: rows tell, unless a text was too long for the index; then the body does."""
    number = asked.parameter.number
    within = Text(number, tuple(Wanted("contains", text) for text in folded))

    def test(one: Candidate, rows: Packed) -> bool:
        return within.match(rows, 0) or (
            any(p == number and len(value) == r4.TEXT_LIMIT for p, value in rows.text)
            and certain(asked, one.body)
        )

    return [Present(number), Checked(test)]


def _texts(number: int, wanted: Iterable[Wanted]) -> list[Condition]:
    text = Text(number, tuple(dict.fromkeys(wanted)))
    if len(text.wanted) <= MAX_KEYS:
        return [text]
    return [Present(number), OneOf((text,))]


def _uris(asked: Asked, base: str) -> list[Condition]:
    number, values = asked.parameter.number, [unescape(value) for value in asked.values]
    if asked.modifier == "below":
        if not all(map(is_url, values)):
            raise BadValue(_NO_PATH)
        starts = _texts(number, (Wanted("starts", r4.fold(value)) for value in values))
        return [*starts, sure(asked)]
    if asked.modifier == "above":
        return equals(number, (r4.hash_uri(uri) for value in values for uri in above(value)))
    keys = [r4.hash_uri(value) for value in values]
    if base and asked.parameter.code == "_profile":
        keys += [r4.hash_uri(f"{base}/{value}") for value in values if ":" not in value]
    if asked.parameter.code == "url" and any("|" in value for value in values):
        keys += [r4.hash_uri(value.partition("|")[0]) for value in values]
        return [*equals(number, keys), sure(asked)]
    return equals(number, keys)


def above(uri: str) -> list[str]:
    """A URL and every URL above it by its path, with and without a slash at the end.

    >>> above("http://acme.org/fhir/5")
    ['http://acme.org/fhir/5', 'http://acme.org/fhir', 'http://acme.org/fhir/', 'http://acme.org', 'http://acme.org/']
    """
    if not is_url(uri):
        raise BadValue(_NO_PATH)
    found, rest = [uri], uri.rstrip("/")
    if rest != uri:
        found.append(rest)
    while rest.count("/") > 2:
        rest = rest.rpartition("/")[0]
        found += [rest, rest + "/"]
    return found


_NO_PATH = "expected an http(s) URL: other URIs have no path that one could be above or below of another"


def is_url(uri: str) -> bool:
    """Whether a URI has a path that others can be above or below."""
    return uri[:8].lower().startswith(("http://", "https://"))


def _ranges(number: int, spans: tuple[Span, ...]) -> list[Condition]:
    spans = tuple(dict.fromkeys(spans))
    if len(spans) <= MAX_KEYS:
        return [Range(number, spans)]
    return [Present(number), OneOf((Range(number, spans),))]


def _quantities(asked: Asked) -> list[Condition]:
    """`5.4`, `5.4|system|code`, `5.4||unit`, `5.4|system|`, in any mixture."""
    number = asked.parameter.number
    found = [read.quantity(value) for value in asked.values]
    plain = tuple(span for span, system, code in found if not code and not system)
    keyed = tuple((key, span) for span, system, code in found if code for key in read.unit_keys(system, code))
    systems = [(system, span) for span, system, code in found if system and not code]
    if systems:
        return [
            Present(number),
            _of_systems(asked, systems, OneOf((Range(number, plain), Keyed(number, keyed)))),
        ]
    if not keyed:
        return _ranges(number, plain)
    if not plain and len(keyed) <= MAX_KEYS:
        return [Keyed(number, keyed)]
    return [Present(number), OneOf((Range(number, plain), Keyed(number, keyed)))]


def _of_systems(asked: Asked, systems: list[tuple[str, Span]], others: OneOf) -> Checked:
    """Any unit of a system, which only the body tells, or what rows tell."""
    number = asked.parameter.number

    def test(one: Candidate, rows: Packed) -> bool:
        if others.match(rows, 0):
            return True
        near = [span for _, span in systems if Range(number, (span,)).match(rows, 0)]
        return bool(near) and any(of_system(asked, one.body, system, span) for system, span in systems)

    return Checked(test)


def _place(value: str) -> tuple[float, float, float]:
    """`latitude|longitude|distance|unit` (http://hl7.org/fhir/R4/location.html#search)."""
    parts = split(value, "|")
    if not 2 <= len(parts) <= 4:
        raise BadValue("expected latitude|longitude|distance|unit")
    numbers = [read.number_span(f"ge{part}").low for part in parts[:3] if part]
    if len(numbers) < 2 or abs(numbers[0]) > 90 or abs(numbers[1]) > 180:
        raise BadValue("expected latitude|longitude|distance|unit, in degrees")
    if len(numbers) == 2:
        return numbers[0], numbers[1], NEAR_KM
    unit = unescape(parts[3]) if len(parts) == 4 and parts[3] else "km"
    if unit not in _KM or numbers[2] < 0:
        raise BadValue(f"expected a distance in one of {', '.join(_KM)}")
    return numbers[0], numbers[1], numbers[2] * _KM[unit]


def _searched(code: str, values: tuple[str, ...]) -> Checked:
    tests = [matcher(code, unescape(value)) for value in values]
    return Checked(lambda one, rows: any(test(one.body) for test in tests))


def _composites(asked: Asked, zone: tzinfo, base: str) -> list[Condition]:
    """http://hl7.org/fhir/R4/search.html#composite"""
    parameter = asked.parameter
    kinds = parameter.components
    parts = [split(value, "$") for value in asked.values]
    if any(len(one) != len(kinds) or not all(one) for one in parts):
        raise BadValue(f"expected {'$'.join(kinds)}")
    if len(kinds) == 3:
        return [Present(parameter.number), _limits(parameter.number, kinds, parts, base)]
    if kinds[1] == "string":
        for first, _ in parts:
            _keys(kinds[0], first, base)
        return [Present(parameter.number), sure(asked)]
    pair = partial(_pair, kinds, zone, base)
    spans = tuple(dict.fromkeys(one for first, second in parts for one in pair(first, second)))
    keyed = Keyed(parameter.number, spans)
    if len(spans) <= MAX_KEYS:
        return [keyed]
    return [Present(parameter.number), OneOf((keyed,))]


def _limits(number: int, kinds: tuple[str, ...], parts: list[list[str]], base: str) -> Limits:
    spans = [
        (key, read.number_span(start), read.number_span(end))
        for first, start, end in parts
        for key in _keys(kinds[0], first, base)
    ]
    return Limits(number, tuple(spans))


_POINT = Span("eq", 0.0, 0.0)


def _pair(
    kinds: tuple[str, ...], zone: tzinfo, base: str, first: str, second: str
) -> Iterable[tuple[int, Span]]:
    keys = _keys(kinds[0], first, base)
    if kinds[1] == "date":
        return [(key, read.date_span(second, zone)) for key in keys]
    if kinds[1] in ("quantity", "number"):
        return [pair for one in keys for pair in _measured(kinds[1], one, second)]
    return [(r4.hash_pair(key, other), _POINT) for key in keys for other in _keys(kinds[1], second, base)]


def _measured(kind: str, key: int, value: str) -> list[tuple[int, Span]]:
    """The keys of a number, or of a quantity and its unit."""
    if kind == "number":
        return [(key, read.number_span(value))]
    span, system, code = read.quantity(value)
    if system and not code:
        raise BadValue("expected number, number|system|code or number||unit")
    units = read.unit_keys(system, code) if code else []
    return [(r4.hash_pair(key, unit), span) for unit in units] or [(key, span)]


_KEYS_OF: dict[str, Callable[[str], list[int]]] = {
    "token": partial(token_keys, None),
    "string": lambda value: [r4.hash_text(r4.fold_text(unescape(value)))],
    "uri": lambda value: [r4.hash_uri(unescape(value))],
}


def _keys(kind: str, value: str, base: str) -> list[int]:
    if kind in _KEYS_OF:
        return _KEYS_OF[kind](value)
    return read.reference_keys(_ANY, "", value, base)


_ANY = r4.SearchParameter(-3, "", "reference", "")
