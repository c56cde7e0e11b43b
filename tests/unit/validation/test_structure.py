"""Structure and narrative as issues that do not raise."""

from __future__ import annotations

import json

import pytest

from hub.validation.structure import unsafe, validate


def div(content: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'


def test_a_sound_resource_has_no_issues() -> None:
    text = {"status": "generated", "div": div("<p>林 <b>晓月</b><br/></p>")}
    assert validate(json.dumps({"resourceType": "Basic", "text": text, "code": {"text": "a"}}).encode()) == []


def test_structure_is_listed_without_raising() -> None:
    found = validate(b'{"resourceType":"Patient","gender":"lady","birthDate":"x"}')
    assert [issue.expression for issue in found] == ["Patient.gender", "Patient.birthDate"]


def test_a_narrative_has_its_path() -> None:
    text = {"status": "generated", "div": div("<script>x</script>")}
    inner = {"resourceType": "Basic", "text": text, "code": {"text": "a"}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    assert [issue.expression for issue in validate(json.dumps(bundle).encode())] == [
        "Bundle.entry[0].resource.text.div"
    ]


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>",
        '<p onclick="x()">a</p>',
        '<a href="javascript:x()">a</a>',
        '<a href=" java&#10;script:x()">a</a>',
        '<img src="data:text/html,x"/>',
        "<form>a</form>",
        "<iframe>a</iframe>",
        '<svg xmlns="http://www.w3.org/2000/svg">a</svg>',
        "&undefined;",
        "<p>a",
        " ",
    ],
)
def test_what_is_unsafe_to_show_is_found(content: str) -> None:
    assert unsafe(div(content))


def test_entities_are_not_followed() -> None:
    assert unsafe('<!DOCTYPE div [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + div("&a;"))
    assert unsafe("<div>a</div>")


@pytest.mark.parametrize(
    "content", ["&nbsp;a", '<a href="#x">a</a>', '<a href="Patient/1">a</a>', '<img src="#pic" alt="a"/>']
)
def test_harmless_links_are_allowed(content: str) -> None:
    assert not unsafe(div(content))
