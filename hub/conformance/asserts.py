"""Asserts: one check each (http://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.assert).

A check returns "" if it holds, else what was expected and what came. It never tells a resource's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote

from hub import r4
from hub.conformance.operations import MEDIA_TYPES
from hub.conformance.session import Session, evaluate, from_path, text_of
from hub.conformance.target import Answered, Asked
from hub.errors import HubError, InvalidMessage, Misconfigured, NotSupported
from hub.validation import structure

RESPONSES = {
    "okay": 200,
    "created": 201,
    "noContent": 204,
    "notModified": 304,
    "bad": 400,
    "forbidden": 403,
    "notFound": 404,
    "methodNotAllowed": 405,
    "conflict": 409,
    "gone": 410,
    "preconditionFailed": 412,
    "unprocessable": 422,
}
BASE_PROFILE = "http://hl7.org/fhir/StructureDefinition/"
Assert = Mapping[str, Any]


def check(wanted: Assert, session: Session) -> str:
    """What an assert finds: "" if it holds, else why not. Raises HubError where it cannot be judged."""
    wanted = _both_sides(wanted)
    named = [name for name in CHECKS if name in wanted]
    if len(named) != 1:
        what = ", ".join(named) or "none"
        raise Misconfigured(f"an assert makes exactly one check, this one makes: {what}")
    return CHECKS[named[0]](wanted, session)


def _both_sides(wanted: Assert) -> Assert:
    """What is asked of the other source alone is asked of the response too."""
    if "compareToSourceId" not in wanted or {"expression", "path", "headerField"} & wanted.keys():
        return wanted
    if "compareToSourceExpression" in wanted:
        return {**wanted, "expression": wanted["compareToSourceExpression"]}
    if "compareToSourcePath" in wanted:
        return {**wanted, "path": wanted["compareToSourcePath"]}
    raise Misconfigured("compareToSourceId needs an expression, a path or a headerField to compare")


def _response(wanted: Assert, session: Session) -> str:
    expected = RESPONSES.get(str(wanted["response"]))
    if expected is None:
        raise Misconfigured("response: this code is not one of R4's")
    return _status(wanted, str(expected), session.answered(str(wanted.get("sourceId", ""))))


def _response_code(wanted: Assert, session: Session) -> str:
    expected = session.fill(str(wanted["responseCode"]))
    return _status(wanted, expected, session.answered(str(wanted.get("sourceId", ""))))


def _status(wanted: Assert, expected: str, answer: Answered) -> str:
    if holds(_operator(wanted), [str(answer.status)], expected):
        return ""
    return f"expected the status {_said(wanted)}{expected}, came {answer.status}{_issues(answer)}"


def _issues(answer: Answered) -> str:
    """The issue codes of an OperationOutcome: its texts are the server's own and stay out of reports."""
    try:
        tree = answer.tree
    except InvalidMessage:
        return ""
    issues = tree.get("issue")
    if tree.get("resourceType") != "OperationOutcome" or not isinstance(issues, list):
        return ""
    known = {code for _, code in r4.codings("http://hl7.org/fhir/ValueSet/issue-type") or ()}
    codes = [str(one.get("code")) for one in issues[:5] if isinstance(one, dict)]
    told = [code for code in codes if code in known]
    return f" ({', '.join(told)})" if told else ""


def _content_type(wanted: Assert, session: Session) -> str:
    expected = str(wanted["contentType"])
    if wanted.get("direction") == "request":
        found = (
            str(_request(wanted, session).headers.get("content-type", "")).partition(";")[0].strip().lower()
        )
    else:
        found = session.answered(str(wanted.get("sourceId", ""))).media_type
    same = found == MEDIA_TYPES.get(expected, expected.partition(";")[0].strip().lower())
    operator = _operator(wanted)
    if operator not in ("equals", "notEquals"):
        raise NotSupported(f"contentType: the operator {operator} is not supported")
    if same == (operator == "equals"):
        return ""
    return f"expected the content type {_said(wanted)}{expected}, came {_plain(found) or 'none'}"


def _header(wanted: Assert, session: Session) -> str:
    name = str(wanted["headerField"])
    if wanted.get("direction") == "request":
        headers = _request(wanted, session).headers
    else:
        headers = session.answered(str(wanted.get("sourceId", ""))).headers
    found = [] if name not in headers else [headers[name]]
    return _compared(wanted, session, found, f"the header {name}")


def _expression(wanted: Assert, session: Session) -> str:
    text = session.expression(str(wanted["expression"]))
    found = evaluate(text, session.source(str(wanted.get("sourceId", ""))))
    simple = not {"value", "compareToSourceId"} & wanted.keys()
    if simple and str(wanted.get("operator", "eval")) == "eval":
        if found == [True]:
            return ""
        return f"expected true of `{wanted['expression']}`, came {_shape(found)}"
    if _operator(wanted) == "eval":
        raise Misconfigured("the operator eval takes no value")
    texts = [""] * len(found) if simple else list(map(text_of, found))
    return _compared(wanted, session, texts, f"`{wanted['expression']}`")


def _from_path(wanted: Assert, session: Session) -> str:
    found = evaluate(from_path(str(wanted["path"])), session.source(str(wanted.get("sourceId", ""))))
    if not {"value", "compareToSourceId"} & wanted.keys() and "operator" not in wanted:
        return "" if found else f"expected something at {wanted['path']}, came nothing"
    return _compared(wanted, session, list(map(text_of, found)), str(wanted["path"]))


def _compared(wanted: Assert, session: Session, found: Sequence[str], what: str) -> str:
    """Compare with the value of the script, or with what the same expression gives of another source."""
    operator = _operator(wanted, default="equals")
    if operator in ("empty", "notEmpty"):
        is_empty = not found
        if what.startswith("the header"):
            is_empty = not any(found)
        return "" if is_empty == (operator == "empty") else f"expected {what} {_said(wanted).strip()}"
    if "compareToSourceId" in wanted:
        others = _other(wanted, session)
        if operator == "equals":
            same = bool(found) and list(found) == list(others)
            return "" if same else f"expected the same of {what} as of {wanted['compareToSourceId']}"
        if len(others) != 1:
            raise HubError(f"expected one value to compare with, the other source gives {len(others)}")
        expected = others[0]
    elif "value" in wanted:
        expected = session.fill(str(wanted["value"]))
    else:
        raise Misconfigured(f"the operator {operator} needs a value")
    if holds(operator, found, expected):
        return ""
    came = "nothing" if not found else "another value" if len(found) == 1 else f"{len(found)} values"
    return (
        f"expected {what} {_said(wanted, default='equals')}`{wanted.get('value', 'the other')}`, came {came}"
    )


def _other(wanted: Assert, session: Session) -> list[str]:
    name = str(wanted["compareToSourceId"])
    if "compareToSourceExpression" in wanted:
        text = session.expression(str(wanted["compareToSourceExpression"]))
        return list(map(text_of, evaluate(text, session.source(name))))
    if "compareToSourcePath" in wanted:
        return list(
            map(text_of, evaluate(from_path(str(wanted["compareToSourcePath"])), session.source(name)))
        )
    if "headerField" in wanted:
        value = session.answered(name).headers.get(str(wanted["headerField"]))
        return [] if value is None else [str(value)]
    raise Misconfigured("compareToSourceId needs compareToSourceExpression or compareToSourcePath")


def holds(operator: str, found: Sequence[str], expected: str) -> bool:
    """Whether values stand in a relation to an expected one.

    Positive operators hold if one of several values does, negative ones if none does; without any value only
    the negative ones hold.
    """
    negative = {"notEquals": "equals", "notIn": "in", "notContains": "contains"}
    if operator in negative:
        return not holds(negative[operator], found, expected)
    return any(_RELATIONS[operator](one, expected) for one in found)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise HubError("greaterThan and lessThan compare numbers, something else came")
    return number


_RELATIONS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda found, expected: found == expected,
    "in": lambda found, expected: found in [one.strip() for one in expected.split(",")],
    "contains": lambda found, expected: expected in found,
    "greaterThan": lambda found, expected: _number(found) > _number(expected),
    "lessThan": lambda found, expected: _number(found) < _number(expected),
}


def _operator(wanted: Assert, default: str = "equals") -> str:
    operator = str(wanted.get("operator", default))
    known = {*_RELATIONS, "notEquals", "notIn", "notContains", "empty", "notEmpty", "eval"}
    if operator not in known:
        raise Misconfigured("operator: this code is not one of R4's")
    return operator


def _said(wanted: Assert, default: str = "") -> str:
    operator = str(wanted.get("operator", default))
    return "" if operator in ("", "equals") and not default else f"{operator} "


def _shape(found: Sequence[Any]) -> str:
    if not found:
        return "nothing"
    return "false" if found == [False] else f"{len(found)} values" if len(found) > 1 else "another value"


def _plain(text: str) -> str:
    """A media type as it may stand in a report."""
    return "".join(
        letter for letter in text[:80] if letter.isascii() and (letter.isalnum() or letter in "/+-.")
    )


def _minimum(wanted: Assert, session: Session) -> str:
    expected = session.source(str(wanted["minimumId"]))
    missing = _missing(
        expected, session.source(str(wanted.get("sourceId", ""))), str(expected.get("resourceType"))
    )
    return f"expected at least what the fixture has, missing or different: {missing}" if missing else ""


def _missing(expected: Any, found: Any, path: str) -> str:
    """The first place of a tree that another does not have; its own id and meta do not count."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return path
        left_out = ("id", "meta", "text") if "." not in path else ()
        for name, value in expected.items():
            problem = name not in left_out and _missing(value, found.get(name), f"{path}.{name}")
            if problem:
                return problem
        return ""
    if isinstance(expected, list):
        items = found if isinstance(found, list) else []
        for position, value in enumerate(expected):
            if all(_missing(value, item, path) for item in items):
                return f"{path}[{position}]"
        return ""
    return "" if _same(expected, found) else path


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return bool(expected == found)


def _navigation(wanted: Assert, session: Session) -> str:
    """The links of a Bundle: `self` is there, each relation once, each with a URL."""
    if not wanted["navigationLinks"]:
        raise NotSupported("navigationLinks: false asks for nothing")
    bundle = session.source(str(wanted.get("sourceId", "")))
    if bundle.get("resourceType") != "Bundle":
        return "expected a Bundle with navigation links, came another resource"
    given = bundle.get("link")
    links = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    names = [str(one.get("relation")) for one in links]
    if "self" not in names:
        return "expected a link self in the Bundle, there is none"
    if len(set(names)) != len(names):
        return "expected each relation of Bundle.link once"
    return "" if all(one.get("url") for one in links) else "expected a url in each Bundle.link"


def _request_method(wanted: Assert, session: Session) -> str:
    expected = str(wanted["requestMethod"]).upper()
    found = _request(wanted, session).method
    if holds(_operator(wanted), [found], expected):
        return ""
    return f"expected the method {_said(wanted)}{expected}, sent {found}"


def _request_url(wanted: Assert, session: Session) -> str:
    expected = session.fill(str(wanted["requestURL"]))
    url = _request(wanted, session).url
    if holds(_operator(wanted), [url], expected) or holds(_operator(wanted), [unquote(url)], expected):
        return ""
    return f"expected the URL of the request {_said(wanted, default='equals')}`{wanted['requestURL']}`"


def _request(wanted: Assert, session: Session) -> Asked:
    """The request that sourceId names by its requestId; the latest without one."""
    name = str(wanted.get("sourceId", ""))
    asked = session.requests.get(name) if name else session.request
    if asked is None:
        raise Misconfigured(f"there is no request {name}".rstrip() + ": an operation must come first")
    return asked


def _resource(wanted: Assert, session: Session) -> str:
    expected = str(wanted["resource"])
    found = session.source(str(wanted.get("sourceId", ""))).get("resourceType")
    if holds(_operator(wanted), [str(found)], expected):
        return ""
    return (
        f"expected the resource {_said(wanted)}{expected}, came {found if r4.is_type(str(found)) else 'none'}"
    )


def _profile(wanted: Assert, session: Session) -> str:
    """Only what is certain: a resource whose structure is not R4 conforms to no profile."""
    declared = session.script.resource.get("profile", [])
    name = str(wanted["validateProfileId"])
    profile = next((str(one.get("reference", "")) for one in declared if one.get("id") == name), None)
    if profile is None:
        raise Misconfigured(f"no profile is named {name}")
    found = session.source(str(wanted.get("sourceId", "")))
    issues = [one for one in structure.validate(r4.untree(found)) if one.severity in ("fatal", "error")]
    if issues:
        return f"expected a resource of this profile, its structure is not R4 at {issues[0].expression}"
    if profile.startswith(BASE_PROFILE) and profile.removeprefix(BASE_PROFILE) != found.get("resourceType"):
        return "expected a resource of this profile, came another type"
    raise NotSupported("the structure is valid R4; the rules of a profile are not checked by this engine")


CHECKS: dict[str, Callable[[Assert, Session], str]] = {
    "response": _response,
    "responseCode": _response_code,
    "contentType": _content_type,
    "headerField": _header,
    "expression": _expression,
    "path": _from_path,
    "minimumId": _minimum,
    "navigationLinks": _navigation,
    "requestMethod": _request_method,
    "requestURL": _request_url,
    "resource": _resource,
    "validateProfileId": _profile,
}
