"""Rules from plugins: checks on resources after structure and bindings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub import r4
from hub.errors import Issue, RuleBroken
from hub.hookspecs import Rule


class Rules:
    """All rules of one hub, by resource type."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._by_type: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_type.setdefault(rule.resource, []).append(rule)

    def check(self, resource: str, body: bytes, values: Mapping[str, Any]) -> list[Issue]:
        """Findings that do not forbid the resource; RuleBroken with all of them if one does."""
        rules = self._by_type.get(resource)
        if not rules:
            return []
        tree = r4.tree(body)
        issues = [issue for rule in rules for issue in rule.check(tree, dict(values))]
        if any(issue.severity in ("error", "fatal") for issue in issues):
            raise RuleBroken(issues=issues)
        return issues
