"""A server that is asked at random agrees with a model in plain dicts after every step.

`HUB_STATE_EXAMPLES` says how many runs there are on SQLite (PostgreSQL: a quarter), other ones each time;
without it they are few and always the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy.engine import make_url

from hub import content, plugins
from hub.app import Hub, create_app
from hub.settings import build
from tests.integration.api.model import (
    CLASSES,
    CRITERIA,
    DATES,
    LINKS,
    LOINC,
    SYSTEM,
    UCUM,
    Body,
    Model,
    days,
    family,
    folded,
    has_identifier,
)

EXAMPLES = int(os.environ.get("HUB_STATE_EXAMPLES", "24"))
STEPS = 40
IDS = st.sampled_from("abc")
TYPES = st.sampled_from(list(CRITERIA))
NUMBERS = st.sampled_from("123")
CREATED = (200, 201)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def patients(draw: st.DrawFn) -> Body:
    members = {
        "identifier": draw(_maybe(NUMBERS.map(lambda one: [{"system": SYSTEM, "value": one}]))),
        "active": draw(_maybe(st.booleans())),
        "name": draw(
            _maybe(st.sampled_from(["Ma", "ma", "Mao", "Li", "Zhāng"]).map(lambda one: [{"family": one}]))
        ),
        "gender": draw(_maybe(st.sampled_from(["male", "female"]))),
        "birthDate": draw(_maybe(st.sampled_from(DATES))),
    }
    return {"resourceType": "Patient", **_given(members)}


@st.composite
def encounters(draw: st.DrawFn) -> Body:
    start, end = draw(_maybe(st.sampled_from(DATES[:2]))), draw(_maybe(st.sampled_from(DATES[2:])))
    members = {
        "class": {"system": CLASSES, "code": draw(st.sampled_from(["AMB", "IMP"]))},
        "subject": draw(_maybe(IDS.map(lambda one: {"reference": f"Patient/{one}"}))),
        "period": _given({"start": start, "end": end}) or None,
    }
    return {"resourceType": "Encounter", "status": "finished", **_given(members)}


@st.composite
def observations(draw: st.DrawFn) -> Body:
    value, unit = draw(st.sampled_from([1.5, 2, 2.04, 2.4, 2.5])), draw(st.sampled_from(["kg", "g"]))
    members = {
        "code": {"coding": [{"system": LOINC, "code": draw(st.sampled_from("xy"))}]},
        "subject": draw(_maybe(IDS.map(lambda one: {"reference": f"Patient/{one}"}))),
        "encounter": draw(_maybe(IDS.map(lambda one: {"reference": f"Encounter/{one}"}))),
        "effectiveDateTime": draw(_maybe(st.sampled_from(DATES))),
        "valueQuantity": draw(_maybe(st.just({"value": value, "system": UCUM, "code": unit}))),
    }
    return {"resourceType": "Observation", "status": "final", **_given(members)}


def _given(members: Body) -> Body:
    return {name: value for name, value in members.items() if value is not None}


BODIES = st.one_of(patients(), encounters(), observations())


class Running:
    """A hub on a database of its own, asked without waiting for anybody else."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        made = build({"database_url": url})
        self.app = create_app(made, hub=Hub(made, found=plugins.Plugins()))
        self.life = self.app.router.lifespan_context(self.app)
        self.loop.run_until_complete(self.life.__aenter__())
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080/fhir/")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
        asked = self.client.request(method, path, json=body, headers={"Content-Type": kind, **named})
        return self.loop.run_until_complete(asked)

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())
        self.loop.run_until_complete(self.life.__aexit__(None, None, None))
        self.loop.close()


def etag(version: int) -> str:
    return f'W/"{version}"'


def content_of(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "meta"}


class Machine(RuleBasedStateMachine):
    """Writes go to both; whatever is read must be the same."""

    def __init__(self, make: Callable[[], str]) -> None:
        super().__init__()
        self.model = Model()
        self.ask = Running(make())

    def teardown(self) -> None:
        self.ask.close()

    # -- writing

    @rule(id=IDS, body=BODIES, match=st.sampled_from(["", "", "right", "wrong"]))
    def put(self, id: str, body: Body, match: str) -> None:
        type, body = body["resourceType"], {**body, "id": id}
        version, before = self.model.version(type, id), self.model.current(type, id)
        if match and before is None:
            match = ""
        wanted = {"right": etag(version), "wrong": etag(version + 1)}
        answer = self.ask("PUT", f"{type}/{id}", body, **({"If_Match": wanted[match]} if match else {}))
        if match == "wrong":
            assert answer.status_code == 412
            return
        assert answer.status_code == (200 if before else 201), answer.text
        self.model.write(type, id, body, "PUT")
        self._wrote(answer, type, id)

    def _wrote(self, answer: httpx.Response, type: str, id: str) -> None:
        assert answer.headers["etag"] == etag(self.model.version(type, id))
        assert content_of(answer.json()) == self.model.current(type, id)

    def _posted(self, answer: httpx.Response, body: Body) -> None:
        assert answer.status_code == 201, answer.text
        type, id = body["resourceType"], answer.json()["id"]
        assert self.model.version(type, id) == 0
        self.model.write(type, id, {**body, "id": id}, "POST")
        self._wrote(answer, type, id)

    @rule(body=BODIES)
    def post(self, body: Body) -> None:
        self._posted(self.ask("POST", body["resourceType"], body), body)

    @rule(body=patients(), number=NUMBERS)
    def create_if_none_exists(self, body: Body, number: str) -> None:
        found = self.model.find("Patient", has_identifier(number))
        answer = self.ask("POST", "Patient", body, If_None_Exist=f"identifier={SYSTEM}|{number}")
        if found:
            assert answer.status_code == (200 if len(found) == 1 else 412)
        else:
            self._posted(answer, body)

    @rule(body=patients(), number=NUMBERS)
    def update_by_criteria(self, body: Body, number: str) -> None:
        found = self.model.find("Patient", has_identifier(number))
        answer = self.ask("PUT", f"Patient?identifier={SYSTEM}|{number}", body)
        if len(found) > 1:
            assert answer.status_code == 412
        elif found:
            assert answer.status_code == 200, answer.text
            (id,) = found
            self.model.write("Patient", id, {**body, "id": id}, "PUT")
            self._wrote(answer, "Patient", id)
        else:
            self._posted(answer, body)

    @rule(type=TYPES, id=IDS)
    def delete(self, type: str, id: str) -> None:
        assert self.ask("DELETE", f"{type}/{id}").status_code == 204
        self.model.write(type, id, None, "DELETE")

    @rule(number=NUMBERS)
    def delete_by_criteria(self, number: str) -> None:
        found = self.model.find("Patient", has_identifier(number))
        answer = self.ask("DELETE", f"Patient?identifier={SYSTEM}|{number}")
        assert answer.status_code == (412 if len(found) > 1 else 204)
        if len(found) == 1:
            self.model.write("Patient", found.pop(), None, "DELETE")

    @rule(id=IDS, active=st.booleans(), match=st.sampled_from(["", "right", "wrong"]))
    def patch(self, id: str, active: bool, match: str) -> None:
        change = [{"op": "add", "path": "/active", "value": active}]
        version, before = self.model.version("Patient", id), self.model.current("Patient", id)
        wanted = {"right": etag(version), "wrong": etag(version + 1)}
        use = {"If_Match": wanted[match]} if match and before else {}
        answer = self.ask("PATCH", f"Patient/{id}", change, **use)
        if before is None:
            assert answer.status_code == (410 if version else 404)
        elif match == "wrong":
            assert answer.status_code == 412
        else:
            assert answer.status_code == 200, answer.text
            self.model.write("Patient", id, {**before, "active": active}, "PATCH")
            self._wrote(answer, "Patient", id)

    @rule(person=patients(), seen=observations(), id=IDS, gone=IDS)
    def transaction(self, person: Body, seen: Body, id: str, gone: str) -> None:
        """Delete an Encounter, create a Patient, update an Observation that points at it."""
        urn = "urn:uuid:7a7ab1e2-6ffb-4f8f-9a6e-6b4f4f2ad001"
        seen = {**seen, "id": id, "subject": {"reference": urn}}
        entries = [
            {"request": {"method": "PUT", "url": f"Observation/{id}"}, "resource": seen},
            {"fullUrl": urn, "request": {"method": "POST", "url": "Patient"}, "resource": person},
            {"request": {"method": "DELETE", "url": f"Encounter/{gone}"}},
        ]
        answer = self.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        put, post, delete = (one["response"] for one in answer.json()["entry"])
        assert post["status"].startswith("201") and delete["status"].startswith("204")
        assert put["status"].startswith("200" if self.model.current("Observation", id) else "201")
        new = post["location"].partition("/_history")[0].rpartition("Patient/")[2]
        self.model.write("Encounter", gone, None, "DELETE")
        self.model.write("Patient", new, {**person, "id": new}, "POST")
        seen = {**seen, "subject": {"reference": f"Patient/{new}"}}
        self.model.write("Observation", id, seen, "PUT")

    @rule(person=patients(), id=IDS)
    def failed_transaction(self, person: Body, id: str) -> None:
        """The second entry cannot be; nothing of the first stays."""
        entries = [
            {"request": {"method": "PUT", "url": f"Patient/{id}"}, "resource": {**person, "id": id}},
            {"request": {"method": "POST", "url": "Encounter"}, "resource": {"resourceType": "Encounter"}},
        ]
        answer = self.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code in (400, 422)

    # -- reading

    @rule(type=TYPES, id=IDS, data=st.data())
    def read(self, type: str, id: str, data: st.DataObject) -> None:
        answer, body = self.ask("GET", f"{type}/{id}"), self.model.current(type, id)
        version = self.model.version(type, id)
        assert answer.status_code == (200 if body else 410 if version else 404)
        if body:
            self._wrote(answer, type, id)
            again = self.ask("GET", f"{type}/{id}", If_None_Match=etag(version))
            assert again.status_code == 304
        asked = data.draw(st.integers(1, version + 1))
        answer = self.ask("GET", f"{type}/{id}/_history/{asked}")
        if asked > version:
            assert answer.status_code == 404
            return
        then = self.model.versions[type, id][asked - 1]
        assert answer.status_code == (200 if then else 410)
        assert then is None or content_of(answer.json()) == then

    @rule(type=st.one_of(st.just(""), TYPES), id=st.one_of(st.just(""), IDS), size=st.integers(1, 7))
    def history(self, type: str, id: str, size: int) -> None:
        """Newest first, whatever the size of the pages; `_since` leaves out what is older."""
        id = id if type else ""
        path = "/".join(part for part in (type, id, "_history") if part)
        expected = [one for one in reversed(self.model.log) if type in ("", one[0]) and id in ("", one[1])]
        if id and not expected:
            assert self.ask("GET", path).status_code == 404
            return
        entries = self._pages(f"{path}?_count={size}", size)
        assert [self._history_entry(one) for one in entries] == expected
        if entries:
            since = entries[len(entries) // 2]["response"]["lastModified"]
            later = [one for one in entries if one["response"]["lastModified"] >= since]
            found = self._pages(f"{path}?_count=100&_since={since.replace('+', '%2B')}", 100)
            assert [self._history_entry(one) for one in found] == [self._history_entry(one) for one in later]

    def _history_entry(self, entry: Body) -> tuple[str, str, int, str]:
        type, id = entry["fullUrl"].split("/")[-2:]
        version = int(entry["response"]["etag"][3:-1])
        body = self.model.versions[type, id][version - 1]
        assert (content_of(entry["resource"]) if "resource" in entry else None) == body
        verb = entry["request"]["method"]
        kept = self.model.log[self._place(type, id, version)][3]
        return type, id, version, kept if {verb, kept} == {"PUT", "PATCH"} else verb

    def _place(self, type: str, id: str, version: int) -> int:
        return next(n for n, one in enumerate(self.model.log) if one[:3] == (type, id, version))

    def _pages(self, path: str, size: int) -> list[Body]:
        """The entries of all pages; no page is longer than asked."""
        found: list[Body] = []
        while path:
            answer = self.ask("GET", path)
            assert answer.status_code == 200, (path, answer.text)
            page = answer.json()
            entries = [one for one in page.get("entry", ()) if one.get("search", {}).get("mode") != "outcome"]
            matches = [one for one in entries if one.get("search", {}).get("mode", "match") == "match"]
            assert len(matches) <= size
            found += entries
            path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
            assert len(found) < 10_000
        return found

    @rule(type=TYPES, data=st.data(), size=st.integers(1, 5), sort=st.sampled_from(["", "", "-", "+"]))
    def search(self, type: str, data: st.DataObject, size: int, sort: str) -> None:
        known = CRITERIA[type]
        asked = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True))
        expected = self.model.find(type, *(known[one] for one in asked))
        query = [*asked, f"_count={size}"]
        order = data.draw(st.sampled_from(sorted(ORDERS[type]))) if sort else ""
        if order:
            query.append(f"_sort={sort.strip('+')}{order}")
        path = f"{type}?{'&'.join(query)}"
        found = [one["resource"] for one in self._pages(path, size)]
        ids = [one["id"] for one in found]
        assert sorted(ids) == sorted(expected), path
        for one in found:
            assert content_of(one) == self.model.current(type, one["id"])
            assert one["meta"]["versionId"] == str(self.model.version(type, one["id"]))
        if order:
            self._in_order(found, ORDERS[type][order], sort == "-", path)
        total = self.ask("GET", f"{type}?{'&'.join([*asked, '_count=0', '_total=accurate'])}").json()
        assert total["total"] == len(expected), path

    def _in_order(self, found: list[Body], range_of: Any, down: bool, path: str) -> None:
        ranges = [one for one in map(range_of, found) if one is not None]
        for first, second in pairwise(ranges):
            low, high = (second, first) if down else (first, second)
            assert not low[0] > high[1], path

    @rule(type=st.sampled_from(["Observation", "Encounter"]), data=st.data())
    def include(self, type: str, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(sorted(CRITERIA[type])))
        links = [link for link in LINKS if link[0] == type]
        _, parameter = data.draw(st.sampled_from(links))
        matches = self.model.find(type, CRITERIA[type][asked])
        expected = {
            reference
            for id in matches
            for reference in [self.model.all(type)[id].get(LINKS[type, parameter], {}).get("reference", "")]
            if reference and self.model.target(reference)
        }
        self._included(f"{type}?{asked}&_count=100&_include={type}:{parameter}", type, matches, expected)

    @rule(data=st.data())
    def include_what_points_here(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(sorted(CRITERIA["Patient"])))
        matches = self.model.find("Patient", CRITERIA["Patient"][asked])
        names = {f"Patient/{id}" for id in matches}
        expected = {
            f"{type}/{id}"
            for type in ("Observation", "Encounter")
            for id, body in self.model.all(type).items()
            if body.get("subject", {}).get("reference") in names
        }
        path = f"Patient?{asked}&_count=100&_revinclude=Observation:subject&_revinclude=Encounter:patient"
        self._included(path, "Patient", matches, expected)

    def _included(self, path: str, type: str, matches: set[str], expected: set[str]) -> None:
        entries = self._pages(path, 100)
        modes: dict[str, list[str]] = {"match": [], "include": []}
        for one in entries:
            body = one["resource"]
            modes[one["search"]["mode"]].append(f"{body['resourceType']}/{body['id']}")
        assert sorted(modes["match"]) == sorted(f"{type}/{id}" for id in matches), path
        assert sorted(modes["include"]) == sorted(expected), path

    @invariant()
    def nothing_comes_or_goes_unseen(self) -> None:
        for type in CRITERIA:
            answer = self.ask("GET", f"{type}?_summary=count").json()
            assert answer["total"] == len(self.model.all(type))


def _text(value: str | None) -> tuple[str, str] | None:
    return None if value is None else (folded(value), folded(value))


def _day(text: str | None) -> tuple[int, int] | None:
    return days(text) if text else None


def _updated(body: Body) -> tuple[str, str]:
    return body["meta"]["lastUpdated"], body["meta"]["lastUpdated"]


ORDERS: dict[str, dict[str, Callable[[Body], Any]]] = {
    "Patient": {
        "_id": lambda body: (body["id"], body["id"]),
        "_lastUpdated": _updated,
        "family": lambda body: _text(next(iter(family(body)), None)),
        "birthdate": lambda body: _day(body.get("birthDate")),
        "gender": lambda body: _text(body.get("gender")),
    },
    "Encounter": {"_lastUpdated": _updated, "_id": lambda body: (body["id"], body["id"])},
    "Observation": {
        "_lastUpdated": _updated,
        "date": lambda body: _day(body.get("effectiveDateTime")),
        "value-quantity": lambda body: (
            (body["valueQuantity"]["value"],) * 2 if "valueQuantity" in body else None
        ),
    },
}
"""How results may be sorted: a value as a range, None where there is none."""


@pytest.fixture
def sqlite_databases(new_sqlite: Callable[[str], str]) -> Callable[[], str]:
    """Makes a fresh SQLite database each time."""
    numbers = count()
    return lambda: new_sqlite(f"state-{next(numbers)}.db")


@pytest.fixture
def postgres_databases(postgres_server: str, postgres_template: str) -> Iterator[Callable[[], str]]:
    """Makes a fresh PostgreSQL database each time."""
    made: list[str] = []

    async def run(text: str) -> None:
        connection = await asyncpg.connect(postgres_server)
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    def make() -> str:
        name = f"hub_state_{os.getpid()}_{len(made)}"
        asyncio.run(run(f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
        made.append(name)
        url = make_url(postgres_server).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    yield make
    for name in made:
        asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("databases", "share"), [("sqlite_databases", 1), ("postgres_databases", 4)])
def test_whatever_is_asked_the_server_agrees_with_the_model(
    request: pytest.FixtureRequest,
    databases: str,
    share: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    make = request.getfixturevalue(databases)
    run_state_machine_as_test(
        lambda: Machine(make),
        settings=settings(
            max_examples=max(EXAMPLES // share, 1),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="HUB_STATE_EXAMPLES" not in os.environ,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
