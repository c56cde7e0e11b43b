"""Requests by chance: every interaction, with the bytes as they go over the wire."""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, field
from urllib.parse import quote

from hub import r4
from hub.api.table import PATHS
from tests.fuzz import bundles, queries, resources, words

JSON = "application/fhir+json"


@dataclass
class Request:
    """One request; `path` is what stands in the request line, percent-encoded or not."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self, host: str) -> bytes:
        """The bytes of an HTTP/1.1 request."""
        headers = {"Host": host, **self.headers}
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Content-Type", JSON)
            headers["Content-Length"] = str(len(self.body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        line = f"{self.method} {self.path} HTTP/1.1\r\n"
        return (line + head + "\r\n").encode("utf-8", "replace") + self.body


def request(rng: random.Random) -> Request:
    """One of all that may come."""
    made = rng.choices([make for make, _ in _KINDS], [weight for _, weight in _KINDS])[0](rng)
    _headers(rng, made)
    return made


def _id(rng: random.Random) -> str:
    return (
        rng.choice(("p0", "p1", "p2", "p3", "none"))
        if rng.random() < 0.9
        else quote(words.any_of(rng), safe="")[:3000]
    )


def _search(rng: random.Random) -> Request:
    type_name = resources.some_type(rng)
    query = queries.search(rng, type_name)
    match rng.randrange(6):
        case 0:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", f"/fhir/{type_name}/_search", query.encode(), form)
        case 1:
            return Request("GET", f"/fhir/{rng.choice(('', '_search'))}?{query}")
        case 2:
            inside = rng.choice((type_name, "*"))
            return Request("GET", f"/fhir/{rng.choice(tuple(r4.COMPARTMENTS))}/{_id(rng)}/{inside}?{query}")
        case _:
            return Request("GET", f"/fhir/{type_name}?{query}")


def _write(rng: random.Random) -> Request:
    type_name = resources.some_type(rng)
    if rng.random() < 0.5:
        return Request("POST", f"/fhir/{type_name}", resources.body(rng, type_name))
    id = _id(rng)
    query = "?" + queries.search(rng, type_name) if rng.random() < 0.2 else ""
    path = f"/fhir/{type_name}{query}" if query else f"/fhir/{type_name}/{id}"
    return Request("PUT", path, resources.body(rng, type_name, "" if query else id))


def _xml(rng: random.Random) -> Request:
    type_name = resources.some_type(rng)
    headers = {"Content-Type": "application/fhir+xml"}
    return Request("POST", f"/fhir/{type_name}", resources.xml_body(rng, type_name), headers)


def _patch(rng: random.Random) -> Request:
    kind, made = (
        ("application/json-patch+json", bundles.patch(rng))
        if rng.random() < 0.5
        else (JSON, bundles.patch_parameters(rng))
    )
    text = resources.written(rng, made)
    if rng.random() < 0.1:
        text = resources.damaged(rng, text)
    target = f"Patient/{_id(rng)}" if rng.random() < 0.85 else "Patient?" + queries.search(rng, "Patient")
    return Request("PATCH", f"/fhir/{target}", text, {"Content-Type": kind})


def _bundle(rng: random.Random) -> Request:
    text = resources.written(rng, bundles.bundle(rng))
    if rng.random() < 0.05:
        text = resources.damaged(rng, text)
    return Request("POST", "/fhir", text)


def _operation(rng: random.Random) -> Request:
    name = rng.choice(bundles.NAMES) if rng.random() < 0.95 else words.garbage(rng, 8)
    kinds = ("Patient", "ValueSet", "CodeSystem", "ConceptMap", "Encounter", "Subscription", "Group")
    type_name = rng.choice(kinds) if rng.random() < 0.8 else resources.some_type(rng)
    where = rng.choice(("", f"{type_name}/", f"{type_name}/{_id(rng)}/"))
    path = f"/fhir/{where}${quote(name)}"
    if rng.random() < 0.4:
        return Request("GET", f"{path}?{bundles.arguments(rng)}")
    made = rng.choice((bundles.parameters, resources.resource, bundles.bundle))(rng)
    text = resources.written(rng, made)
    return Request("POST", path, resources.damaged(rng, text) if rng.random() < 0.05 else text)


def _definition(rng: random.Random) -> Request:
    make = rng.choice((bundles.search_parameter, bundles.subscription, bundles.deep_value_set))
    made = make(rng)
    kind = made["resourceType"]
    text = resources.written(rng, made if rng.random() < 0.85 else resources.mutate(rng, made))
    return Request("POST", f"/fhir/{kind}", text)


def _seldom(rng: random.Random) -> Request:
    """Reads, histories, deletions, and any method on any path."""
    type_name = resources.some_type(rng)
    parts = {
        "{type}": type_name, "{id}": _id(rng), "{version}": rng.choice(("1", "2", "0", "-1", "x", "9" * 30)),
        "{inside}": type_name, "${name}": "$" + rng.choice(bundles.NAMES),
    }  # fmt: skip
    path = rng.choice(tuple(PATHS))
    for name, part in parts.items():
        path = path.replace(name, part)
    method = rng.choice(
        ("GET", "GET", "GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "FOO")
    )
    if rng.random() < 0.05:
        path = rng.choice(
            (
                "//",
                "/..",
                "/%2e%2e/admin",
                "/Patient//p1",
                "/Patient/p1/",
                "/%ff",
                "/" + quote(words.garbage(rng)),
            )
        )
    query = "?" + queries.search(rng, type_name) if rng.random() < 0.3 else ""
    body = resources.body(rng) if method in ("POST", "PUT", "PATCH") else b""
    return Request(method, f"/fhir{path}{query}", body)


def _admin(rng: random.Random) -> Request:
    path = rng.choice((
        "/admin/channels", "/admin/messages", "/admin/messages/1", "/admin/dead-letters",
        "/admin/deliveries", "/admin/queue", "/admin/x",
        "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json", "/", "/console/",
        "/admin/messages/1/replay",
    ))  # fmt: skip
    query = f"?limit={quote(words.any_of(rng))}" if rng.random() < 0.5 else ""
    return Request(rng.choice(("GET", "GET", "POST", "DELETE")), path + query)


_KINDS = (
    (_search, 40), (_write, 25), (_xml, 5), (_patch, 10), (_bundle, 12), (_operation, 12), (_definition, 3),
    (_seldom, 12), (_admin, 2),
)  # fmt: skip

_ODD: dict[str, tuple[str, ...]] = {
    "Accept": ("*/*", "application/fhir+xml", "text/html", "x", "application/json;q=0", ";;;",
    "application/*;q=x", "a" * 2000),
    "Prefer": ("return=minimal", "return=representation", "return=OperationOutcome", "handling=lenient",
    "handling=strict", "respond-async", "=;="),
    "If-Match": ('W/"1"', "*", "1", 'W/"x"', "", 'W/"99999999999999999999"', '"'),
    "If-None-Match": ('W/"1"', "*", ",", 'W/"1", W/"2"', "x" * 3000),
    "If-Modified-Since": ("Sat, 01 Jan 2000 00:00:00 GMT", "yesterday", "Sat, 99 Jan 99999 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359"),
    "If-None-Exist": ("identifier=a|b", "?name=x", "x=y", "", "%zz", "name:missing=maybe", "_count=1",
    "a" * 5000),
    "Content-Type": ("text/plain", "application/json; charset=gbk", "application/fhir+xml", "x", ";",
    "application/json-patch+json", "multipart/form-data; boundary=x"),
    "Content-Encoding": ("gzip", "br", "identity", "gzip, gzip", "deflate"),
    "Accept-Encoding": ("gzip", "gzip;q=0", "*;q=0", "br", "identity;q=0"),
    "Accept-Language": ("zh-CN", "*"), "X-Request-Id": ("a", "a" * 500, "x\ty"), "X-Provenance": ("{}",),
    "Range": ("bytes=0-1",),
    "Expect": ("100-continue",), "X-HTTP-Method-Override": ("DELETE",), "X-Security-Context": ("Patient/p1",
    "x y"),
}  # fmt: skip


def _headers(rng: random.Random, made: Request) -> None:
    while rng.random() < 0.25:
        name = rng.choice(tuple(_ODD))
        made.headers[name] = rng.choice(_ODD[name])
    if made.headers.get("Content-Encoding") == "gzip" and rng.random() < 0.7:
        made.body = gzip.compress(made.body)
        if rng.random() < 0.2:
            made.body = gzip.compress(b" " * 3_000_000)
        elif rng.random() < 0.2:
            made.body = made.body[: len(made.body) // 2]
