"""A script of a few actions, and a server that answers what it is told to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from hub import conformance
from hub.conformance import Result, Script

BASE = "http://127.0.0.1:9/fhir"
Answer = Callable[[httpx.Request], httpx.Response]


def operation(code: str, **members: Any) -> dict[str, Any]:
    """An operation of R4's own kind."""
    return {"operation": {"type": {"code": code}, "encodeRequestUrl": True, **members}}


def wanted(**members: Any) -> dict[str, Any]:
    """An assert."""
    return {"assert": {"warningOnly": False, **members}}


def script(*actions: dict[str, Any], **members: Any) -> Script:
    """A script with one test."""
    return Script(
        {
            "resourceType": "TestScript",
            "id": "one",
            "url": "https://example.org/TestScript/one",
            "name": "One",
            "status": "draft",
            "test": [{"name": "the test", "action": list(actions)}],
            **members,
        }
    )


def contained(*resources: dict[str, Any], **flags: bool) -> dict[str, Any]:
    """Fixtures that the script contains."""
    return {
        "contained": list(resources),
        "fixture": [
            {
                "id": one["id"],
                "autocreate": False,
                "autodelete": False,
                **flags,
                "resource": {"reference": f"#{one['id']}"},
            }
            for one in resources
        ],
    }


def binary(id: str, text: str) -> dict[str, Any]:
    """A Binary that stands for its content."""
    return {
        "resourceType": "Binary",
        "id": id,
        "contentType": "text/plain",
        "data": base64.b64encode(text.encode()).decode(),
    }


def fhir(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    """A FHIR response in JSON."""
    return httpx.Response(
        status,
        headers={"content-type": "application/fhir+json", **headers},
        content=json.dumps(body).encode(),
    )


async def play(one: Script, answer: Answer) -> Result:
    """Run the script against a server that answers so."""
    async with conformance.reach(BASE, httpx.MockTransport(answer)) as server:
        return await conformance.run(one, server)


async def sent(*actions: dict[str, Any], **members: Any) -> list[httpx.Request]:
    """The requests that a script sends."""
    found: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        found.append(request)
        return fhir({"resourceType": "Patient", "id": "p1", "meta": {"versionId": "3"}})

    result = await play(script(*actions, **members), answer)
    assert result.verdict == "pass", [action for part in result.tests for action in part.actions]
    return found


async def outcome(assertion: dict[str, Any], response: httpx.Response, **members: Any) -> tuple[str, str]:
    """How an assert on a response ends, and its message."""
    result = await play(
        script(operation("read", params="/p1", resource="Patient"), assertion, **members), lambda _: response
    )
    last = result.tests[0].actions[-1]
    return last.outcome, last.message
