"""The workbook of a made-up national registry: four sheets, nine rows a patient, always the same for one size."""

from __future__ import annotations

import datetime
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from caseweave.values.grid import column_letters

STUDY = Path(__file__).parent / "national"
EPOCH = datetime.date(1899, 12, 30)
# 9.2 rows and 156 filled cells a patient: 230,000 rows and 3.9 million cells for 25,000
COURSES, VISITS = 3, 4

Cell = str | int | float | datetime.date | None


def _day(chance: random.Random, first: int, last: int) -> datetime.date:
    return datetime.date(first, 1, 1) + datetime.timedelta(days=chance.randrange((last - first + 1) * 365))


def _value(chance: random.Random, name: str) -> Cell:
    kind, luck = VALUES[name], chance.random()
    # what no form is without: a cell in fifty is blank, one in a hundred says that nothing was measured
    if name not in REQUIRED and luck < 0.03:
        return None if luck < 0.02 else "ND"
    return kind(chance)


def _number(low: float, high: float, digits: int) -> Callable[[random.Random], Cell]:
    return lambda chance: round(chance.uniform(low, high), digits)


def _one_of(*options: str) -> Callable[[random.Random], Cell]:
    return lambda chance: chance.choice(options)


REQUIRED = {"sex", "birth_date", "laterality", "histology", "drug"}
YES_NO = _one_of("yes", "no", "no", "no")
VALUES: dict[str, Callable[[random.Random], Cell]] = {
    "sex": _one_of(*["female"] * 99, "male"), "birth_date": lambda chance: _day(chance, 1930, 1990),
    "height": _number(150, 185, 0), "weight": _number(45, 110, 1), "ecog": lambda chance: chance.randrange(3),
    "hemoglobin": _number(9, 16, 1), "pregnancies": lambda chance: chance.randrange(5), "size": _number(4, 60, 0),
    "laterality": _one_of("left", "right"), "histology": _one_of("ductal", "ductal", "lobular"),
    "er_status": _one_of("positive", "negative"), "pr_status": _one_of("positive", "negative"),
    "her2": _one_of("positive", "negative"), "er_percent": _number(0, 100, 0), "pr_percent": _number(0, 100, 0),
    "her2_ratio": _number(1, 6, 1), "ki67": _number(1, 90, 0), "ca153": _number(5, 60, 1),
    "creatinine": _number(0.5, 1.6, 2), "platelets": _number(120, 420, 0), "leukocytes": _number(2, 14, 1),
    "systolic": _number(95, 170, 0), "diastolic": _number(60, 105, 0), "temperature": _number(36, 38, 1),
    "drug": _one_of("doxorubicin", "cyclophosphamide", "docetaxel", "paclitaxel"),
    "comments": lambda chance: f"seen by doctor {chance.randrange(400)}",
    **dict.fromkeys(["diabetes", "hypertension", "obesity", "asthma", "screening", "lvi", "multifocal", "nausea",
                     "neutropenia", "response", "fatigue", "pain", "lymphedema", "hot_flushes", "working"], YES_NO),
}  # fmt: skip


def rows(sheet: str, columns: list[str], patients: int) -> Iterator[list[Cell]]:
    """The rows of one sheet, header first; every sheet draws from its own sequence, so that sizes don't matter."""
    yield list(columns)
    for number in range(patients):
        chance = random.Random(f"{sheet} {number}")
        patient = f"P{number:07d}"
        diagnosed = _day(random.Random(f"diagnosed {number}"), 2005, 2018)
        count = {"demographics": 1, "diagnosis": 1 + (number % 5 == 0), "treatment": COURSES, "follow-up": VISITS}[
            sheet
        ]
        for place in range(count):
            dated = diagnosed + datetime.timedelta(days=180 * place)
            fixed: dict[str, Cell] = {
                "patient_id": patient, "tumour_number": place + 1, "course": place + 1, "visit_number": place + 1,
                "visit_date": dated, "diagnosis_date": dated, "start": dated,
                "end": dated + datetime.timedelta(days=90),
            }  # fmt: skip
            yield [fixed[name] if name in fixed else _value(chance, name) for name in columns]


def write(path: Path, sheets: dict[str, list[str]], patients: int) -> tuple[int, int]:
    """Write the workbook; returns its rows and filled cells. Shared strings and date styles, as Excel saves them."""
    shared: dict[str, int] = {}
    count_rows = count_cells = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, (sheet, columns) in enumerate(sheets.items(), start=1):
            letters = [column_letters(place) for place in range(len(columns))]
            with archive.open(f"xl/worksheets/sheet{number}.xml", "w") as file:
                file.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
                for row, cells in enumerate(rows(sheet, columns, patients), start=1):
                    texts = [_cell(letter, row, cell, shared) for letter, cell in zip(letters, cells, strict=True)
                             if cell is not None]  # fmt: skip
                    file.write(f'<row r="{row}">{"".join(texts)}</row>'.encode())
                    count_rows, count_cells = count_rows + 1, count_cells + len(texts)
                file.write(b"</sheetData></worksheet>")
        names = "".join(f'<sheet name="{sheet.capitalize()}" sheetId="{n}" r:id="r{n}"/>'
                        for n, sheet in enumerate(sheets, start=1))  # fmt: skip
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{names}</sheets></workbook>'
        )
        strings = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{strings}</sst>')
        archive.writestr("xl/styles.xml", STYLES)
        parts = [(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
        parts += [("rs", "sharedStrings", "sharedStrings.xml"), ("rt", "styles", "styles.xml")]
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(parts))
        archive.writestr("_rels/.rels", _relations([("r1", "officeDocument", "xl/workbook.xml")]))
        archive.writestr("[Content_Types].xml", _content_types(len(sheets)))
    return count_rows, count_cells


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def _cell(letter: str, row: int, cell: Cell, shared: dict[str, int]) -> str:
    if isinstance(cell, str):
        return f'<c r="{letter}{row}" t="s"><v>{shared.setdefault(cell, len(shared))}</v></c>'
    if isinstance(cell, datetime.date):
        return f'<c r="{letter}{row}" s="1"><v>{(cell - EPOCH).days}</v></c>'
    return f'<c r="{letter}{row}"><v>{cell}</v></c>'


def _relations(parts: list[tuple[str, str, str]]) -> str:
    found = "".join(f'<Relationship Id="{one}" Type="{REL}/{kind}" Target="{target}"/>' for one, kind, target in parts)
    return f'<Relationships xmlns="{PACKAGE}/relationships">{found}</Relationships>'


def _content_types(sheets: int) -> str:
    parts = [(f"/xl/worksheets/sheet{n}.xml", "worksheet+xml") for n in range(1, sheets + 1)]
    parts += [("/xl/workbook.xml", "sheet.main+xml"), ("/xl/sharedStrings.xml", "sharedStrings+xml"),
              ("/xl/styles.xml", "styles+xml")]  # fmt: skip
    found = "".join(f'<Override PartName="{name}" ContentType="{KIND}.{kind}"/>' for name, kind in parts)
    return (f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{found}</Types>')  # fmt: skip
