"""`/docs`: the routes of `/openapi.json` as one page that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
dt {{ font-family: monospace; font-weight: bold; margin-top: 1rem }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{about} For machines: <a href="openapi.json">openapi.json</a>.</p>
"""


def router(app: FastAPI) -> APIRouter:
    """The page of an application."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    return routes


def page(described: dict[str, Any]) -> str:
    """An OpenAPI description as HTML, its routes in the order of their tags."""
    info = described["info"]
    parts = [_HEAD.format(title=escape(info["title"]), about=escape(info.get("description", "")))]
    by_tag: dict[str, list[str]] = {}
    for path, methods in sorted(described["paths"].items()):
        for method, route in methods.items():
            tag = route.get("tags", ["other"])[0]
            by_tag.setdefault(tag, []).extend(_route(method, path, route))
    for tag, lines in by_tag.items():
        parts += [f"<h2>{escape(tag)}</h2>", "<dl>", *lines, "</dl>"]
    return "\n".join([*parts, "</body>", "</html>", ""])


def _route(method: str, path: str, route: dict[str, Any]) -> Iterator[str]:
    yield f"<dt>{method.upper()} {escape(path)}</dt>"
    yield f"<dd>{escape(route.get('description', ''))}</dd>"
    asked = [one["name"] for one in route.get("parameters", []) if one["in"] == "query"]
    if asked:
        yield f"<dd>Query: {', '.join(f'<code>{escape(name)}</code>' for name in asked)}</dd>"
