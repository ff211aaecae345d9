"""CDISC ODM 1.3 metadata, as REDCap and other systems export it: forms, item groups, items, code lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caseweave.errors import SourceDamaged
from caseweave.importers.draft import Draft
from caseweave.importers.redcap import Question, add, new_form, plain

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
REDCAP = "{https://projectredcap.org}"
TYPES = {"integer": "integer", "float": "number", "double": "number", "date": "date", "partialDate": "date"}


def draft_of(path: Path, source: str) -> Draft:
    """A draft from an ODM file: the items of all its forms in one sheet, as REDCap exports them.

    Arguments: `source` is what the study's files say of where they came from. Raises SourceDamaged where it isn't ODM.
    """
    import xml.etree.ElementTree as plain_tree

    import defusedxml.ElementTree as safe
    from defusedxml.common import DefusedXmlException

    try:
        root = safe.parse(path).getroot()
    except (plain_tree.ParseError, DefusedXmlException, OSError) as error:
        raise SourceDamaged(path.name, f"it can't be read as XML ({error})", way_out="Export it again.") from None
    study = None if root is None else root.find(f"{ODM}Study")
    version = None if study is None else study.find(f"{ODM}MetaDataVersion")
    if study is None or version is None:
        raise SourceDamaged(path.name, "it holds no ODM 1.3 metadata", way_out="Export the metadata as ODM 1.3.")
    title = study.findtext(f"{ODM}GlobalVariables/{ODM}StudyName") or path.stem
    draft = Draft(" ".join(title.split()), source)
    form = new_form(draft.title)
    draft.forms.append(form)
    items = {one.get("OID"): one for one in version.iter(f"{ODM}ItemDef")}
    lists = {one.get("OID"): one for one in version.iter(f"{ODM}CodeList")}
    seen: set[str] = set()
    for group_form, item_id in _order(version):
        item = items.get(item_id)
        if item is None:
            draft.note(item_id, "an item group names an item that is defined nowhere.")
            continue
        question = _question(item, item_id, group_form, lists)
        if question.name not in seen:
            seen.add(question.name)
            add(draft, form, question)
    return draft


def _order(version: Any) -> list[tuple[str, str]]:
    """Every item with its form, in the order of the forms."""
    groups = {one.get("OID"): one for one in version.iter(f"{ODM}ItemGroupDef")}
    found = []
    for form in version.iter(f"{ODM}FormDef"):
        name = form.get(f"{REDCAP}FormName") or form.get("Name") or form.get("OID") or "form"
        for reference in form.iter(f"{ODM}ItemGroupRef"):
            group = groups.get(reference.get("ItemGroupOID"))
            for item in () if group is None else group.iter(f"{ODM}ItemRef"):
                found.append((name, item.get("ItemOID") or ""))
    return found


def _question(item: Any, item_id: str, form: str, lists: dict[str | None, Any]) -> Question:
    reference = item.find(f"{ODM}CodeListRef")
    codes = lists.get(reference.get("CodeListOID")) if reference is not None else None
    kind = item.get(f"{REDCAP}FieldType") or ("radio" if codes is not None else "text")
    choices = "" if codes is None else codes.get(f"{REDCAP}CheckboxChoices") or _choices(codes)
    limits = {
        one.get("Comparator"): (one.findtext(f"{ODM}CheckValue") or "").strip() for one in item.iter(f"{ODM}RangeCheck")
    }
    data_type = item.get("DataType") or "text"
    validation = item.get(f"{REDCAP}TextValidationType") or TYPES.get(data_type, "")
    return Question(
        place=f"item {item_id}",
        name=item.get(f"{REDCAP}Variable") or item.get("Name") or item_id,
        form=form,
        field_type=kind.casefold(),
        label=plain(item.findtext(f"{ODM}Question/{ODM}TranslatedText") or ""),
        choices=item.get(f"{REDCAP}Calculation") or choices,
        note=item.get(f"{REDCAP}FieldNote") or "",
        validation=validation.casefold(),
        low=limits.get("GE", ""),
        high=limits.get("LE", ""),
        identifier=(item.get(f"{REDCAP}Identifier") or "").casefold() == "y",
        shown_when=item.get(f"{REDCAP}BranchingLogic") or "",
        required=(item.get(f"{REDCAP}RequiredField") or "").casefold() == "y",
    )


def _choices(codes: Any) -> str:
    """A code list as REDCap writes choices; a bar in a label would end it, so it becomes a slash."""
    found = []
    for one in codes:
        if one.tag in (f"{ODM}CodeListItem", f"{ODM}EnumeratedItem"):
            value = one.get("CodedValue") or ""
            label = one.findtext(f"{ODM}Decode/{ODM}TranslatedText") or value
            found.append(f"{value}, {label.replace('|', '/')}")
    return " | ".join(found)
