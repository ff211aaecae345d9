"""Whatever stands in a mapping, it loads or is refused with file and line: never another exception."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caseweave.errors import MappingError
from caseweave.spec.loader import load_study
from caseweave.spec.yamlfile import parse_yaml

FILES = (
    "study.yaml", "diagnosis.yaml", "patterns/marker.yaml", "patterns/lesion.yaml", "valuesets/yes-no.yaml",
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 10**40, 1.5, "", "x", "$i", "$i|$i", "a|b", "1..3", "a b (", "none", "[", "patient.sex", [],
    [[]], ["x", None], {}, {"x": None}, {"i": "1..2"}, {"field": "sex", "map": {"f": 1}}, {"expr": "1 +"},
    {"fact": "cancer"}, {"pattern": "marker"}, {"pattern": "nowhere", "value": {"expr": "sex"}},
    {"repeat": {"i": "1..2"}}, {"": ""},
)  # fmt: skip


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every node of a tree."""
    found = [path] if path else []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += paths(value, (*path, key))
    return found


def plain(tree: Any) -> Any:
    """A tree of the loader as plain lists and dictionaries."""
    return json.loads(json.dumps(tree))


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(lung: Path, file: str, data: st.DataObject) -> None:
    path = lung / file
    original = path.read_text(encoding="utf-8")
    tree = copy.deepcopy(plain(parse_yaml(original, file)))
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(paths(tree)))
        node = tree
        for step in way:
            node = node[step]
        action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        junk = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        if action == "replace":
            node[last] = junk
        elif action == "remove" or isinstance(node, list):
            del node[last]
        else:
            node[f"{last}$i"] = node.pop(last)
        if not paths(tree):
            break
    try:
        # JSON is YAML, and every text of it stands in quotes; without them it is a name
        path.write_text(data.draw(st.sampled_from([quoted, bare]))(tree), encoding="utf-8")
        load_study(lung)
    except MappingError as error:
        place = (error.data["file"], error.data["line"])
    else:
        return
    finally:
        path.write_text(original, encoding="utf-8")
    assert place[0] and place[1] >= 1


def quoted(tree: Any) -> str:
    """A tree as JSON."""
    return json.dumps(tree)


def bare(tree: Any, indent: int = 0) -> str:
    """A tree as YAML with texts without quotes."""
    pad = "  " * indent
    if isinstance(tree, dict) and tree:
        return "".join(f"\n{pad}{json.dumps(str(key))}: {bare(value, indent + 1)}" for key, value in tree.items())
    if isinstance(tree, list) and tree:
        return "".join(f"\n{pad}- {bare(value, indent + 1)}" for value in tree)
    return str(tree) if isinstance(tree, str) else json.dumps(tree)
