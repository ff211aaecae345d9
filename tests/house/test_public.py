"""The public door: its names are a promise, each with words and an example."""

from __future__ import annotations

import types

import caseweave

# A name joins here together with its line in CHANGELOG.md; one that goes was deprecated for a version.
PUBLIC = {"CaseweaveError", "Delivery", "Result", "Study", "__version__", "list_studies", "load_study"}


def test_public_names_are_locked() -> None:
    assert set(getattr(caseweave, "__all__", ["__version__"])) == PUBLIC


# and so do the names on what they give
MEMBERS = {
    "Delivery": {"exit_code", "manifest"},
    "Result": {"balance", "deliver", "facts", "fhir", "findings", "omop", "subjects"},
    "Study": {"convert", "name", "version"},
}


def test_their_members_are_locked() -> None:
    for name, members in MEMBERS.items():
        thing = getattr(caseweave, name)
        found = {one for one in (*vars(thing), *getattr(thing, "__dataclass_fields__", ())) if not one.startswith("_")}
        assert found == members, name


def test_nothing_else_looks_public() -> None:
    names = {
        name
        for name, thing in vars(caseweave).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType) and name != "annotations"
    }
    assert names <= PUBLIC


def test_public_names_are_explained() -> None:
    things = {name: getattr(caseweave, name) for name in PUBLIC}
    callables = {name: thing for name, thing in things.items() if callable(thing)}
    assert [name for name, thing in callables.items() if ">>>" not in (thing.__doc__ or "")] == []
