"""One column of the form: its header, its unit, what it says when it is clicked on, how its cells are shown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from caseweave.spec.models import Field
from caseweave.targets.template.words import phrases, text_in, word

# Excel's own limits
TITLE, PROMPT, FORMULA = 32, 255, 255


def header(field: Field, language: str) -> str:
    """What stands over the column: the label, by which it is read back; a star where it must be filled.

    >>> header(Field("site", "site", "", 1, label={"en": "Side"}, required=True), "en")
    'Side *'
    """
    label = text_in(field.label, language, field.column or field.name)
    return f"{label} *" if field.required is True else label


def unit(code: str, language: str) -> str:
    """A unit as people write it."""
    return text_in(phrases("units").get(code, {}), language, "" if code == "1" else code)


def hint(field: Field, language: str) -> str:
    """The small text over the header: the unit, or what kind of thing the cells hold."""
    if field.ignore:
        return ""
    if field.type in ("number", "integer") and not field.unit_field:
        return unit(field.unit, language) or word("kind_number", language)
    return word({"code": "kind_list"}.get(field.type, f"kind_{field.type}"), language)


def prompt(field: Field, language: str, rules: Sequence[str] = ()) -> tuple[str, str]:
    """What Excel shows beside a cell that is clicked on: a title and a text, within its limits.

    Arguments: `rules`, what the rules say that colour the cell.
    """
    parts = [text_in(field.help, language), expectation(field, language)]
    if field.required is True:
        parts.append(word("required", language))
    elif field.required:
        parts.append(word("required_if", language))
    if rules:
        parts.append(word("coloured_when", language, rules=" ".join(rules)))
    if field.ignore:
        parts = [word("not_read", language)]
    title = text_in(field.label, language, field.name)
    return cut(title, TITLE), cut("\n".join(part for part in parts if part), PROMPT)


def expectation(field: Field, language: str) -> str:
    """What a cell may hold, in words."""
    if field.type == "code":
        return word("choose", language)
    if field.type == "date":
        return word({"month": "date_month", "day": "date"}.get(field.precision, "date_year"), language)
    if field.type not in ("number", "integer"):
        return ""
    said = [word("whole" if field.type == "integer" else "number", language)]
    if field.unit_field:
        # unit and range belong to the unit in the other cell
        return said[0]
    if field.unit and unit(field.unit, language):
        said.append(word("unit", language, unit=unit(field.unit, language)))
    if field.accept:
        units = ", ".join(unit(one, language) for one in field.accept)
        said.append(word("other_units", language, units=units))
    usual, allowed = limits(field.range_warn, "usual", language), limits(field.range_error, "allowed", language)
    said.append(usual or allowed)
    return " ".join(one for one in said if one)


def limits(span: tuple[Decimal | None, Decimal | None] | None, key: str, language: str) -> str:
    """A range in words."""
    low, high = span or (None, None)
    if low is not None and high is not None:
        return word(key, language, low=shown(low), high=shown(high))
    if low is not None:
        return word("at_least", language, low=shown(low))
    return word("at_most", language, high=shown(high)) if high is not None else ""


def shown(number: Decimal) -> str:
    """A number without an exponent."""
    return f"{number.normalize():f}"


def cut(text: str, length: int) -> str:
    """A text within a length.

    >>> cut("a long text", 8)
    'a long…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def number_format(field: Field) -> str:
    """How Excel shows the cells. A date that may be partial is text, or Excel makes the first day of "2021-03"."""
    if field.type == "date":
        return "yyyy-mm-dd" if field.precision == "day" else "@"
    if field.type == "integer":
        return "0"
    return "General" if field.type in ("number", "code") else "@"


def width(field: Field, language: str) -> float:
    """How wide the column is, in characters: the header breaks into two or three lines."""
    label = len(header(field, language))
    longest = 0
    if field.valueset is not None:
        # one long label among short ones doesn't make the column wide
        lengths = sorted(len(text_in(one.label, language, one.key)) for one in field.valueset.values.values())
        longest = lengths[(len(lengths) - 1) * 3 // 4]
    least = {"code": 14, "date": 13, "id": 12, "text": 30}.get(field.type, 11)
    return float(min(max(least, label * 0.55, min(longest, 34)), 36))


def validation(field: Field, ref: str, lists: str, missing: str) -> dict[str, str]:
    """What Excel checks when something is typed, as the arguments of openpyxl's DataValidation.

    It only warns: a local value, a number with its unit and a code for a missing value are legal too.
    """
    none = f"COUNTIF({missing},{ref})>0," if missing else ""
    if field.type == "code":
        return {"type": "list", "formula1": f"={lists}"}
    if field.type == "date":
        text = f'DATEVALUE(LEFT({ref}&"-01-01",10))'
        shape = f'OR(LEN({ref})=4,MID({ref},5,1)="-",MID({ref},3,1)=".")'
        return {"type": "custom", "formula1": f"=OR({none}ISNUMBER({ref}),AND({shape},ISNUMBER({text})))"}
    if field.type in ("number", "integer"):
        low, high = field.range_error or (None, None)
        tests = [f"ISNUMBER({ref})"]
        tests += [f"INT({ref})={ref}"] if field.type == "integer" else []
        # a field with a unit of its own in another cell can't be judged by its number alone
        tests += [f"{ref}>={shown(low)}"] if low is not None and not field.unit_field else []
        tests += [f"{ref}<={shown(high)}"] if high is not None and not field.unit_field else []
        made = f"=OR({none}AND({','.join(tests)}))"
        return {"type": "custom", "formula1": made} if len(made) <= FORMULA else {}
    return {}
