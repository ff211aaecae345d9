"""Write vocabularies/shapes/mcode_stu4.json, what the mCODE profiles demand beyond R4, from the published package.

Run by hand, with the unpacked npm package hl7.fhir.us.mcode 4.0.0:
python -m caseweave.shapes.build_mcode PACKAGE_FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from caseweave.assets import data_path
from caseweave.shapes.fhir import fhir_shapes

MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
R4 = "http://hl7.org/fhir/StructureDefinition/"
MCODE = "http://hl7.org/fhir/us/mcode/"


def build(package: Path, target: Path) -> dict[str, int]:
    """Write the profiles and the value sets that they bind to; returns how many of each.

    Arguments: `package`, the folder that holds StructureDefinition-*.json; `target`, the file to write. Raises OSError
    or KeyError where the package isn't the expected one: a developer's tool.
    """
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    definitions = _load(package, "StructureDefinition")
    value_sets = {one["url"]: one for one in _load(package, "ValueSet")}
    profiles = {one["id"]: _profile(one) for one in definitions}
    urls = {
        url
        for profile in profiles.values()
        for element in profile["elements"]
        for url in (element.get("binding", ["", ""])[1], element.get("max_value_set", ""))
        if url in value_sets
    }
    lines = [
        f' "source": "npm hl7.fhir.us.mcode {version}, snapshots and value sets (CC0-1.0)"',
        _block("profiles", {name: profiles[name] for name in sorted(profiles)}),
        _block("value_sets", {url: _value_set(value_sets[url], value_sets) for url in sorted(urls)}),
    ]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return {"profiles": len(profiles), "value_sets": len(urls)}


def _load(package: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(package.glob(f"{kind}-*.json"))]


def _block(name: str, entries: Mapping[str, object]) -> str:
    inner = ",\n".join(f"  {json.dumps(key)}: {_line(value)}" for key, value in entries.items())
    return f' "{name}": {{\n{inner}\n }}'


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _profile(definition: Mapping[str, Any]) -> dict[str, Any]:
    elements = definition["snapshot"]["element"]
    rules: dict[str, list[str]] = {}
    for element in elements:
        for rule in element.get("constraint", ()):
            if not rule.get("source", R4).startswith(R4):
                rules[rule["key"]] = [
                    rule["severity"],
                    element["id"],
                    rule["human"],
                    rule.get("expression", ""),
                ]
    return {
        "url": definition["url"],
        "type": definition["type"],
        "base": definition["baseDefinition"],
        "abstract": definition.get("abstract", False),
        "elements": [kept for element in elements[1:] if (kept := _element(element))],
        "rules": [[key, *rule] for key, rule in sorted(rules.items())],
    }


def _element(element: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a snapshot says of an element where R4 alone says less; None where it adds nothing and demands nothing."""
    kept: dict[str, Any] = {"id": element["id"], "min": element["min"], "max": element["max"]}
    types = element.get("type", ())
    binding = element.get("binding") or {}
    for key, value in element.items():
        if key.startswith(("fixed", "pattern")):
            kept["fixed" if key.startswith("fixed") else "pattern"] = value
    kept["types"] = [one["code"] for one in types if not one["code"].startswith("http:")]
    kept["targets"] = [
        url for one in types for url in one.get("targetProfile", ()) if not url.startswith(R4) or "/us/" in url
    ]
    kept["profiles"] = [url for one in types for url in one.get("profile", ()) if not url.startswith(R4 + "Simple")]
    if binding.get("valueSet") and binding["strength"] in ("required", "extensible"):
        kept["binding"] = [binding["strength"], binding["valueSet"].partition("|")[0]]
    kept["max_value_set"] = next(
        (one["valueCanonical"] for one in binding.get("extension", ()) if one["url"] == MAX_VALUE_SET), ""
    )
    kept["slicing"] = [[one["type"], one["path"]] for one in element.get("slicing", {}).get("discriminator", ())]
    kept = {key: value for key, value in kept.items() if value or key in ("min", "max")}
    return kept if _says_more(element, kept) else None


def _says_more(element: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    if kept["min"] > 0 or "fixed" in kept or "pattern" in kept or "sliceName" in element or kept["max"] == "0":
        return True
    if "targets" in kept or "profiles" in kept:
        return True
    try:
        plain = fhir_shapes().element(element["path"])
    except KeyError:
        return False
    bound = kept.get("binding")
    return (
        kept["max"] != plain.max
        or (bool(kept.get("types")) and set(kept["types"]) < set(plain.types))
        or (bound is not None and tuple(bound) != plain.binding)
        or kept.get("max_value_set", "").startswith(MCODE)
    )


def _value_set(value_set: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The codes that a value set lists, by system; `rules` are those that it describes and nobody can list here."""
    compose = value_set.get("compose", {})
    codes, rules = _listed(_parts(compose.get("include", ()), known))
    out, out_rules = _listed(_parts(compose.get("exclude", ()), known))
    found = {"codes": codes, "rules": rules, "excluded": out, "excluded_rules": out_rules}
    return {key: value for key, value in found.items() if value or key == "codes"}


def _listed(parts: Iterable[Mapping[str, Any]]) -> tuple[dict[str, list[str]], list[list[str]]]:
    codes: dict[str, set[str]] = {}
    rules: list[list[str]] = []
    for part in parts:
        system = part["system"]
        codes.setdefault(system, set()).update(one["code"] for one in part.get("concept", ()))
        rules += [[system, one["property"], one["op"], one["value"]] for one in part.get("filter", ())]
        if not part.get("concept") and not part.get("filter"):
            rules.append([system, "", "all", ""])
    return {system: sorted(some) for system, some in sorted(codes.items()) if some}, sorted(rules)


def _parts(parts: Iterable[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """What a value set is made of, other value sets unfolded; one that isn't in the package counts as a system."""
    for part in parts:
        if "system" in part:
            yield part
        for url in part.get("valueSet", ()):
            if url in known:
                yield from _parts(known[url].get("compose", {}).get("include", ()), known)
            else:
                yield {"system": url}


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), data_path("vocabularies") / "shapes" / "mcode_stu4.json"))
