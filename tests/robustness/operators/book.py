"""The filled breast template as a file that can be spoilt: cell by cell, part by part, or as a whole."""

from __future__ import annotations

import datetime
import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from caseweave.plan.layout import names_of
from caseweave.spec.loader import load_study
from caseweave.targets.template import write_template
from caseweave.values.grid import column_letters, normal

FIRST_ROW = 4  # the first patient of the example; above stand a title, what a column takes, and the headers
HEADER_ROW = 3
TABS = {"demographics": 2, "diagnosis": 3, "treatment": 4, "follow-up": 5}
LISTS = "xl/worksheets/sheet6.xml"
_EPOCH = datetime.datetime(1899, 12, 30)


@dataclass(frozen=True)
class Error:
    """An error cell, such as #N/A."""

    text: str


@dataclass(frozen=True)
class Formula:
    """A formula cell with the value that Excel computed; None where it computed none."""

    text: str
    cached: str | float | None = None


@dataclass(frozen=True)
class Raw:
    """The inside of a cell as XML, with the attributes of its element."""

    attributes: str
    inside: str
    style: int | None = None


@cache
def example() -> bytes:
    """The breast template, filled with its three invented patients."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "form.xlsx"
        write_template(load_study("breast"), path, example=True)
        return path.read_bytes()


@cache
def columns() -> dict[str, str]:
    """The column of each field, as `diagnosis.ki67`: found by openpyxl, from the headers of the template."""
    import openpyxl

    workbook = openpyxl.load_workbook(io.BytesIO(example()), read_only=True)
    found = {}
    for sheet in load_study("breast").sheets:
        headers = next(workbook[sheet.name].iter_rows(HEADER_ROW, HEADER_ROW, values_only=True))
        known = {normal(name): one.name for one in sheet.fields.values() for name in names_of(one)}
        found.update({f"{sheet.key}.{known[normal(text)]}": column_letters(n) for n, text in enumerate(headers)})
    return found


def place(at: str) -> str:
    """Where a field stands, as findings say it: `diagnosis.ki67@5` in its fifth row, else in the first patient's.

    >>> place("diagnosis.patient_id@5")
    'diagnosis!A5'
    """
    name, _, row = at.partition("@")
    return f"{name.partition('.')[0]}!{columns()[name]}{row or FIRST_ROW}"


@dataclass
class Book:
    """A workbook on its way to ruin.

    Arguments: `parts` of its zip; `whole`, the file itself where it is no longer a zip of these parts; `name`, what it
    is called; `password` to open it with.
    """

    parts: dict[str, bytes] = field(default_factory=dict)
    whole: bytes | None = None
    name: str = "form.xlsx"
    password: str | None = None

    @classmethod
    def fresh(cls) -> Book:
        book = cls()
        book.load(example())
        return book

    def load(self, content: bytes) -> None:
        """Take the parts of another file."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.parts = {name: archive.read(name) for name in archive.namelist()}

    def content(self) -> bytes:
        """The bytes of the file."""
        if self.whole is not None:
            return self.whole
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, part in self.parts.items():
                archive.writestr(name, part)
        return out.getvalue()

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The workbook in openpyxl, saved again afterwards; without the lists of its drop-downs, a third of it."""
        import openpyxl

        lists = re.sub(rb"(?s)<sheetData>.*</sheetData>", b"<sheetData/>", self.parts[LISTS])
        self.parts[LISTS] = lists
        workbook = openpyxl.load_workbook(io.BytesIO(self.content()))
        yield workbook
        out = io.BytesIO()
        workbook.save(out)
        self.load(out.getvalue())

    def patch(self, part: str, old: str, new: str, count: int = 1) -> None:
        """Replace text in a part, by a regular expression that must fit."""
        text, done = re.subn(old, lambda match: match.expand(new), self.parts[part].decode(), count=count, flags=re.S)
        assert done, f"{old} is not in {part}"
        self.parts[part] = text.encode()

    def put(self, at: str, value: Any) -> None:
        """Type a value into the cell of a field, as Excel would store it."""
        where = place(at)
        part = f"xl/worksheets/sheet{TABS[where.partition('!')[0]]}.xml"
        cell = where.partition("!")[2]
        text = self.parts[part].decode()
        old = re.search(rf'<c r="{cell}"([^>]*?)(?:/>|>.*?</c>)', text, re.S)
        style = re.search(r' s="\d+"', old[1]) if old else None
        if isinstance(value, datetime.date):
            style = re.search(r' s="\d+"', f' s="{self.style_of_dates()}"')
        if isinstance(value, Raw) and value.style is not None:
            style = re.search(r' s="\d+"', f' s="{value.style}"')
        new = _cell(cell, style[0] if style else "", value)
        if old:
            text = text[: old.start()] + new + text[old.end() :]
        else:
            text = _inserted(text, cell, new)
        self.parts[part] = text.encode()

    def style_of_dates(self) -> int:
        cell = columns()["demographics.baseline_date"] + str(FIRST_ROW)
        found = re.search(rf'<c r="{cell}" s="(\d+)"', self.parts["xl/worksheets/sheet2.xml"].decode())
        assert found
        return int(found[1])

    def new_style(self, xf: str, font: str = "") -> int:
        """Add a cell format; `font` adds a font, which `{font}` in the format names."""
        styles = self.parts["xl/styles.xml"].decode()
        if font:
            number = len(re.findall(r"<font>|<font/>", re.search(r"<fonts.*?</fonts>", styles, re.S)[0]))  # type: ignore[index]
            styles = styles.replace("</fonts>", font + "</fonts>")
            xf = xf.replace("{font}", str(number))
        inside = re.search(r"<cellXfs.*?</cellXfs>", styles, re.S)
        assert inside
        number = len(re.findall(r"<xf ", inside[0]))
        self.parts["xl/styles.xml"] = styles.replace("</cellXfs>", xf + "</cellXfs>").encode()
        return number


def _cell(cell: str, style: str, value: Any) -> str:
    match value:
        case None:
            return f'<c r="{cell}"{style}/>'
        case Error(text):
            return f'<c r="{cell}"{style} t="e"><v>{text}</v></c>'
        case Formula(text, None):
            return f'<c r="{cell}"{style}><f>{escape(text)}</f></c>'
        case Formula(text, str() as cached):
            return f'<c r="{cell}"{style} t="str"><f>{escape(text)}</f><v>{escape(cached)}</v></c>'
        case Formula(text, cached):
            return f'<c r="{cell}"{style}><f>{escape(text)}</f><v>{cached}</v></c>'
        case Raw(attributes, inside):
            return f'<c r="{cell}"{style} {attributes}>{inside}</c>'
        case bool():
            return f'<c r="{cell}"{style} t="b"><v>{int(value)}</v></c>'
        case datetime.datetime():
            return f'<c r="{cell}"{style}><v>{(value - _EPOCH) / datetime.timedelta(days=1)}</v></c>'
        case datetime.date():
            midnight = datetime.datetime.combine(value, datetime.time())
            return f'<c r="{cell}"{style}><v>{(midnight - _EPOCH).days}</v></c>'
        case int() | float():
            return f'<c r="{cell}"{style}><v>{value!r}</v></c>'
        case _:
            text = re.sub(r"[\x00-\x08\x0b-\x1f]", lambda match: f"_x{ord(match[0]):04X}_", escape(value))
            return f'<c r="{cell}"{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _inserted(text: str, cell: str, new: str) -> str:
    row_number = re.sub(r"\D", "", cell)
    row = re.search(rf'<row [^>]*?r="{row_number}"[^>]*>', text)
    assert row
    end = text.index("</row>", row.end())
    for other in re.finditer(r'<c r="([A-Z]+)\d+"', text[row.end() : end]):
        if (len(other[1]), other[1]) > (len(cell) - len(row_number), cell.rstrip("0123456789")):
            end = row.end() + other.start()
            break
    return text[:end] + new + text[end:]
