"""Files that are broken, locked, dangerous, or something else than their name says."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

from tests.robustness.operators.book import Book, example
from tests.robustness.operators.table import Operator, Said, group

from caseweave.errors import SourceDamaged, SourceProtected, SourceTooLarge, SourceUnsupported

DIAGNOSIS = "xl/worksheets/sheet3.xml"
ONLY_DEMOGRAPHICS = ("diagnosis", "treatment", "follow-up")


def whole(content: bytes | Callable[[bytes], bytes], name: str = "form.xlsx") -> Callable[[Book], None]:
    """The file becomes these bytes, or what is made of its own."""

    def change(book: Book) -> None:
        book.whole = content if isinstance(content, bytes) else content(book.content())
        book.name = name

    return change


def named(name: str) -> Callable[[Book], None]:
    return lambda book: setattr(book, "name", name)


def table() -> list[list[str]]:
    """The demographics as an export writes them: every cell is text."""
    import openpyxl

    sheet = openpyxl.load_workbook(io.BytesIO(example()), data_only=True)["Demographics"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=3)]
    return [[_text(value) for value in row] for row in rows]


def _text(value: Any) -> str:
    return "" if value is None else str(value.date()) if hasattr(value, "date") else str(value)


def as_csv(
    name: str = "form.csv",
    encoding: str = "utf-8",
    delimiter: str = ",",
    end: str = "\r\n",
    above: str = "",
    below: str = "",
    quoting: Any = csv.QUOTE_MINIMAL,
) -> Callable[[Book], None]:  # fmt: skip
    """The demographics as a text table, as programs and countries write it."""

    def change(book: Book) -> None:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table())
        book.whole = (above + out.getvalue() + below).encode(encoding)
        book.name = name

    return change


def csv_with(cell: str, typed: str, encoding: str = "utf-8", delimiter: str = ",") -> Callable[[Book], None]:
    """The same, with something else for a cell."""

    def change(book: Book) -> None:
        as_csv(encoding=encoding, delimiter=delimiter)(book)
        assert book.whole is not None and cell.encode(encoding) in book.whole
        book.whole = book.whole.replace(cell.encode(encoding), typed.encode(encoding), 1)

    return change


def marks_behind(book: Book) -> None:
    """As some programs write it: each row ends with the mark between cells, the headers don't."""
    as_csv()(book)
    assert book.whole is not None
    head, *rows = book.whole.split(b"\r\n")
    book.whole = b"\r\n".join([head, *(row + b"," for row in rows if row)])


def encrypted(password: str | None) -> Callable[[Book], None]:
    """Encrypted by Office with the password "secret"; `password` is what the reader is given."""

    def change(book: Book) -> None:
        from msoffcrypto.format.ooxml import OOXMLFile

        out = io.BytesIO()
        OOXMLFile(io.BytesIO(book.content())).encrypt("secret", out)
        book.whole, book.password = out.getvalue(), password

    return change


def bomb(book: Book) -> None:
    """A part that unpacks to far more than it weighs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in book.parts.items():
            archive.writestr(name, part)
        with archive.open("xl/media/image1.png", "w", force_zip64=True) as stream:
            for _ in range(60):
                stream.write(bytes(1 << 20))
    book.whole = out.getvalue()


def part(name: str, old: str, new: str) -> Callable[[Book], None]:
    return lambda book: book.patch(name, old, new)


def without(name: str) -> Callable[[Book], None]:
    return lambda book: book.parts.pop(name)


def far_cell(book: Book) -> None:
    book.patch(DIAGNOSIS, "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def entities(book: Book) -> None:
    bombs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    book.parts[DIAGNOSIS] = bombs.encode() + book.parts[DIAGNOSIS]


def strict(book: Book) -> None:
    """The strict dialect of the standard, which Excel can write."""
    for name, content in book.parts.items():
        book.parts[name] = content.replace(
            b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
            b"http://purl.oclc.org/ooxml/spreadsheetml/main",
        ).replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        )


def with_macros(book: Book) -> None:
    book.patch(
        r"[Content_Types].xml",
        r"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main\+xml",
        "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    )
    book.parts["xl/vbaProject.bin"] = b"\xd0\xcf\x11\xe0 Sub Auto_Open()"
    book.name = "form.xlsm"


def flipped(content: bytes) -> bytes:
    """A bad disk: bytes in the middle of a sheet are other ones."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = archive.getinfo(DIAGNOSIS)
    at = info.header_offset + 200
    return content[:at] + bytes(byte ^ 0x5A for byte in content[at : at + 64]) + content[at + 64 :]


def without_end(content: bytes) -> bytes:
    return content[: content.rindex(b"PK\x05\x06")]


def word_document(book: Book) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types>wordprocessingml</Types>")
        archive.writestr("word/document.xml", "<w:document/>")
    book.whole = out.getvalue()


def bare_zip(book: Book) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("form.xlsx", example())
    book.whole, book.name = out.getvalue(), "form.zip"


def refused(name: str, does: str, change: Callable[[Book], object], error: Any, reason: str, why: str = "") -> Operator:
    """A file that is not read, with a typed error that says what it is and what to do."""
    return Operator(name, does, change=change, refused=error, reason=reason, why=why)


def only(name: str, does: str, change: Callable[[Book], object], **more: Any) -> Operator:
    """A text table of the demographics alone."""
    return Operator(name, does, change=change, **{"gone": ONLY_DEMOGRAPHICS, **more})


OPERATORS: tuple[Operator, ...] = group(
    "files",
    refused("empty", "nothing in it", whole(b""), SourceDamaged, "empty"),
    refused(
        "cut-off", "the second half is missing", whole(lambda old: old[: len(old) // 2]), SourceDamaged, "zip directory"
    ),
    refused("without-directory", "the last bytes are missing", whole(without_end), SourceDamaged, "zip directory"),
    refused("bytes-flipped", "a bad disk", whole(flipped), SourceDamaged, "broken"),
    refused("only-the-beginning", "four bytes", whole(b"PK\x03\x04"), SourceDamaged, "zip directory"),
    refused("noise", "random bytes", whole(bytes(range(256)) * 8), SourceUnsupported, "unknown bytes"),
    Operator("bytes-behind", "something was appended", change=whole(lambda old: old + b"\0" * 100)),
    refused(
        "html-as-xls",
        "a web page called .xls",
        whole(b"<html><table><tr><td>AA-00001</td></tr></table></html>", "form.xls"),
        SourceUnsupported,
        "web page",
    ),
    refused("csv-as-xlsx", "a text table called .xlsx", as_csv("form.xlsx"), SourceUnsupported, "text"),
    refused("pdf-as-xlsx", "a PDF called .xlsx", whole(b"%PDF-1.7 ..."), SourceUnsupported, "PDF"),
    refused("picture-as-xlsx", "a photo of the form", whole(b"\xff\xd8\xff\xe0 JFIF"), SourceUnsupported, "picture"),
    refused(
        "xml-of-2003-as-xls",
        "Excel 2003's XML",
        whole(b'<?xml version="1.0"?><Workbook/>', "form.xls"),
        SourceUnsupported,
        "XML",
    ),
    refused("word-document", "a Word file called .xlsx", word_document, SourceUnsupported, "Word"),
    refused("zipped", "a workbook in a zip", bare_zip, SourceUnsupported, "zip archive without a workbook"),
    refused(
        "ole-without-workbook",
        "an old Office file without a workbook",
        whole(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "form.xls"),
        SourceDamaged,
        "OLE",
    ),
    Operator("xlsx-as-xls", "a new workbook with an old ending", change=named("form.xls")),
    Operator("xlsx-as-csv", "a workbook called .csv", change=named("form.csv")),
    Operator("ending-in-capitals", "FORM.XLSX", change=named("FORM.XLSX")),
    Operator(
        "name-with-spaces-and-accents",
        "a name of a patient as the file's name",
        change=named("García López, María (final) v2.xlsx"),
    ),
    Operator("macros", "a workbook with macros", change=with_macros, why="macros are not run"),
    Operator("strict-dialect", "the strict dialect of the standard", change=strict),
    refused("encrypted", "a password to open it", encrypted(None), SourceProtected, "encrypted"),
    refused("encrypted-wrong-password", "another password", encrypted("guess"), SourceProtected, "doesn't open"),
    Operator("encrypted-right-password", "the password is given", change=encrypted("secret")),
    refused("zip-bomb", "60 MB packed into 60 kB", bomb, SourceTooLarge, "zip bomb"),
    refused("entity-bomb", "entities in a sheet", entities, SourceDamaged, "entity bomb"),
    refused(
        "cell-in-the-last-corner",
        "a value in XFD1048576",
        far_cell,
        SourceTooLarge,
        "XFD1048576",
        why="17 thousand million cells",
    ),
    Operator(
        "dimension-too-large",
        "a sheet that says it is full",
        change=part(DIAGNOSIS, 'ref="A1:AY7"', 'ref="A1:XFD1048576"'),
    ),
    Operator(
        "dimension-too-small",
        "a sheet that says it is nearly empty",
        change=part(DIAGNOSIS, 'ref="A1:AY7"', 'ref="A1:A3"'),
    ),
    Operator(
        "without-dimension",
        "a sheet that doesn't say how large it is",
        change=part(DIAGNOSIS, '<dimension ref="A1:AY7"/>', ""),
    ),
    refused("sheet-missing", "the part of a sheet is missing", without(DIAGNOSIS), SourceDamaged, ""),
    refused(
        "sheet-not-closed", "XML that ends in the middle", part(DIAGNOSIS, "</sheetData>.*", ""), SourceDamaged, ""
    ),
    refused("workbook-part-missing", "no list of sheets", without("xl/workbook.xml"), SourceDamaged, ""),
    Operator("content-types-missing", "no list of parts", change=without("[Content_Types].xml")),
    Operator(
        "properties-missing",
        "no properties of the document",
        change=lambda book: [book.parts.pop(f"docProps/{one}.xml") for one in ("app", "core")],
    ),
    only("csv", "a text table of one sheet", as_csv()),
    only("csv-semicolons", "semicolons", as_csv(delimiter=";")),
    only("csv-tabs", "tabs", as_csv(delimiter="\t")),
    only("csv-pipes", "upright strokes", as_csv(delimiter="|")),
    only("csv-sep-line", "Excel's sep= in front", as_csv(delimiter=";", above="sep=;\r\n")),
    only("csv-everything-quoted", "quotes around each cell", as_csv(quoting=csv.QUOTE_ALL)),
    only("csv-byte-order-mark", "a byte order mark", as_csv(encoding="utf-8-sig")),
    only("csv-utf-16", "Excel's Unicode text", as_csv(name="form.txt", encoding="utf-16", delimiter="\t")),
    only("csv-utf-16-without-mark", "UTF-16 that doesn't say so", as_csv(encoding="utf-16-le")),
    only("csv-windows-1252", "the encoding of old Windows", csv_with("Female", "Mujer", encoding="cp1252")),
    only(
        "csv-windows-1252-with-accent",
        "an accent in the encoding of old Windows",
        csv_with("Sex at diagnosis", "Sexo en el diagnóstico", encoding="cp1252"),
    ),
    only("csv-line-ends-of-unix", "one sign per line end", as_csv(end="\n")),
    only("csv-line-ends-of-old-macs", "carriage returns alone", as_csv(end="\r")),
    only("csv-blank-lines-below", "blank lines below", as_csv(below=",,,\r\n\r\n\r\n")),
    only("csv-title-above", "a title above", as_csv(above="Export of 2026-05-31\r\n\r\n")),
    only("csv-decimal-commas", "semicolons and decimal commas", csv_with("68.5", "68,5", delimiter=";")),
    only(
        "csv-unquoted-decimal-comma",
        "a decimal comma that parts the cells",
        csv_with("68.5", "68,5"),
        says=(Said("row-too-long", "error", "demographics!A2"),),
        gone=(*ONLY_DEMOGRAPHICS, "demographics@4"),
        why="all cells behind it stand in the wrong column",
    ),
    only("csv-commas-behind-each-row", "a comma behind each row but the header", marks_behind),
    only(
        "csv-day-first",
        "a date with slashes",
        csv_with("1961-04-17", "17/04/1961"),
        means={"demographics.birth_date": None},
        says=(Said("not-a-date", "error", "demographics!D2", "1961-04-17"),),
    ),
    only("csv-called-tsv", "commas in a file called .tsv", as_csv(name="form.tsv")),
    refused(
        "csv-quote-never-closed",
        "a quote that never closes",
        csv_with("Never smoked", '"Never smoked'),
        SourceDamaged,
        "never closes",
    ),
    refused(
        "csv-with-zero-bytes",
        "zero bytes",
        whole(b"patient_id,sex\r\nAA-00001,\0\0\0\0f\r\n" + b"x" * 200, "form.csv"),
        SourceDamaged,
        "",
    ),
    refused("csv-no-ending", "a text table without ending", as_csv(name="form"), SourceUnsupported, "text"),
)
