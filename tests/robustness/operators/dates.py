"""Dates as people, other countries and Excel write them."""

from __future__ import annotations

import datetime

from tests.robustness.operators.book import Book, Raw, place
from tests.robustness.operators.table import Operator, Said, accepted, blank, group, rejected, same

DIAGNOSIS = "diagnosis.diagnosis_date"  # to the month at least; 2022-03-18
IMAGING = "diagnosis.imaging_date"  # to the day; 2022-03-08
BIRTH = "demographics.birth_date"  # the year is enough; 1961-04-17
VISIT = "follow-up.visit_date"  # 2023-05-09


def as_if_counted_from_1904(book: Book) -> None:
    """A workbook of an old Mac: every true date is stored 1,462 days lower, and the workbook says so."""
    book.patch("xl/workbook.xml", "<workbookPr/>", '<workbookPr date1904="1"/>')
    style = book.style_of_dates()
    for number in (2, 3, 4, 5):
        part = f"xl/worksheets/sheet{number}.xml"
        text = book.parts[part].decode()
        pieces = text.split(f's="{style}" t="n"><v>')
        moved = [f"{int(one.split('<')[0]) - 1462}<{one.split('<', 1)[1]}" for one in pieces[1:]]
        book.parts[part] = f's="{style}" t="n"><v>'.join([pieces[0], *moved]).encode()


def serial(number: float) -> Raw:
    """A number in the format of a date."""
    return Raw("", f"<v>{number}</v>", style=Book.fresh().style_of_dates())


OPERATORS: tuple[Operator, ...] = group(
    "dates",
    rejected("february-30", DIAGNOSIS, "2022-02-30", "not-a-date"),
    rejected("february-29-of-no-leap-year", DIAGNOSIS, "2022-02-29", "not-a-date"),
    accepted("february-29-of-a-leap-year", VISIT, "2024-02-29", datetime.date(2024, 2, 29), "2024-02-29"),
    rejected("month-13", DIAGNOSIS, "2022-13-01", "not-a-date"),
    rejected("day-00", DIAGNOSIS, "2022-03-00", "not-a-date", "2022-03"),
    rejected("month-00", BIRTH, "1961-00-00", "not-a-date", "1961"),
    rejected("all-nines", DIAGNOSIS, "99.99.9999", "not-a-date"),
    same("points", DIAGNOSIS, "18.03.2022"),
    same("points-without-zeros", DIAGNOSIS, "18.3.2022"),
    rejected("points-with-spaces", DIAGNOSIS, "18. 3. 2022", "not-a-date", "2022-03-18"),
    same("year-first-with-slashes", DIAGNOSIS, "2022/03/18"),
    same("year-first-with-points", DIAGNOSIS, "2022.03.18"),
    same("year-first-without-zeros", DIAGNOSIS, "2022-3-18"),
    rejected("slashes-that-can-be-two-dates", DIAGNOSIS, "03/04/2022", "ambiguous-date", "2022-04-03 or 2022-03-04"),
    rejected("slashes-day-first", DIAGNOSIS, "18/03/2022", "not-a-date", "2022-03-18"),
    rejected("slashes-month-first", DIAGNOSIS, "03/18/2022", "not-a-date", "2022-03-18"),
    rejected("hyphens-day-first", DIAGNOSIS, "18-03-2022", "not-a-date", "2022-03-18"),
    rejected("two-digit-year", DIAGNOSIS, "18.03.22", "ambiguous-date", why="1922 or 2022"),
    rejected("two-digit-year-of-birth", BIRTH, "17/4/61", "ambiguous-date"),
    rejected("month-by-name", DIAGNOSIS, "18 Mar 2022", "not-a-date", "2022-03-18"),
    rejected("month-by-name-in-spanish", DIAGNOSIS, "18 de marzo de 2022", "not-a-date", "2022-03-18"),
    rejected("month-by-name-in-german", DIAGNOSIS, "18. März 2022", "not-a-date", "2022-03-18"),
    rejected("month-by-name-alone", DIAGNOSIS, "March 2022", "not-a-date", "2022-03"),
    accepted("month-only", DIAGNOSIS, "2022-03", "2022-03", "2022-03"),
    rejected("month-only-where-the-day-is-needed", IMAGING, "2022-03", "too-coarse"),
    rejected("year-only-where-the-month-is-needed", DIAGNOSIS, "2022", "too-coarse"),
    accepted("year-only", BIRTH, "1961", "1961", "1961"),
    accepted("year-only-as-number", BIRTH, 1961, "1961", "1961"),
    rejected("month-and-year-with-slash", DIAGNOSIS, "03/2022", "not-a-date", "2022-03"),
    rejected("about", DIAGNOSIS, "ca. 2022", "not-a-date"),
    rejected("question-mark-behind", DIAGNOSIS, "2022?", "not-a-date"),
    rejected("quarter", DIAGNOSIS, "Q1 2022", "not-a-date"),
    rejected("season", DIAGNOSIS, "spring 2022", "not-a-date"),
    rejected("two-dates", DIAGNOSIS, "2022-03-18; 2022-03-20", "not-a-date"),
    rejected("span", DIAGNOSIS, "18.03.2022-20.03.2022", "not-a-date"),
    rejected("weekday-in-front", DIAGNOSIS, "Fri 18.03.2022", "not-a-date"),
    rejected("trailing-point", DIAGNOSIS, "18.03.2022.", "not-a-date", "2022-03-18"),
    rejected("en-dashes", DIAGNOSIS, "2022–03–18", "not-a-date", "2022-03-18"),
    rejected("letter-o-for-zero", DIAGNOSIS, "2O22-O3-18", "not-a-date", "2022-03-18"),
    same("no-break-space-in-front", DIAGNOSIS, "\u00a02022-03-18"),
    same("zero-width-mark-in-front", DIAGNOSIS, "\ufeff2022-03-18"),
    same("arabic-digits", DIAGNOSIS, "٢٠٢٢-٠٣-١٨"),
    same("full-width-digits", DIAGNOSIS, "２０２２-０３-１８"),
    same("text-for-a-true-date", VISIT, "2023-05-09"),
    same("true-date-for-text", DIAGNOSIS, datetime.date(2022, 3, 18)),
    same("time-of-day-behind", VISIT, datetime.datetime(2023, 5, 9, 14, 35)),
    same("time-of-day-behind-as-text", DIAGNOSIS, "18.03.2022 14:35"),
    same("moment-with-zone", DIAGNOSIS, "2022-03-18T23:30:00Z", why="the day as it was written, in no other zone"),
    rejected("time-of-day-alone", DIAGNOSIS, "14:35", "not-a-date"),
    rejected("serial-as-number", DIAGNOSIS, 44638, "ambiguous-date", "2022-03-18"),
    rejected("serial-as-text", DIAGNOSIS, "44638", "not-a-date", "2022-03-18"),
    rejected("eight-digits-as-number", DIAGNOSIS, 20220318, "not-a-date", "2022-03-18"),
    rejected("eight-digits-as-text", DIAGNOSIS, "20220318", "not-a-date", "2022-03-18"),
    rejected("six-digits", DIAGNOSIS, 202203, "not-a-date", "2022-03"),
    rejected(
        "number-in-the-format-of-a-date",
        VISIT,
        serial(3),
        "implausible-date",
        why="1900-01-03 is a 3 that somebody formatted",
    ),
    rejected(
        "serial-zero",
        VISIT,
        serial(0),
        "not-a-date",
        why="Excel shows 1900-01-00, of an empty cell that was computed with",
    ),
    rejected(
        "day-that-never-was", VISIT, serial(60), "implausible-date", why="Excel shows 1900-02-29, which did not exist"
    ),
    rejected("serial-below-zero", VISIT, serial(-5), "not-a-date"),
    rejected("serial-beyond-the-calendar", VISIT, serial(3000000), "not-a-date"),
    rejected("future", VISIT, datetime.date(2031, 5, 9), "future-date"),
    rejected("future-by-a-typing-error", DIAGNOSIS, "2202-03-18", "future-date"),
    rejected("middle-ages", DIAGNOSIS, "1022-03-18", "implausible-date"),
    rejected(
        "first-of-january-1900",
        VISIT,
        datetime.date(1900, 1, 1),
        "implausible-date",
        why="what systems write that have no date",
    ),
    rejected("year-of-five-digits", DIAGNOSIS, "20222-03-18", "not-a-date"),
    rejected("truth-value", DIAGNOSIS, True, "not-a-date"),
    rejected("word", DIAGNOSIS, "recently", "not-a-date"),
    blank("missing-code", IMAGING, "UNK", "missing:unknown"),
    Operator(
        "1904",
        "a workbook that counts its days from 1904, as Excel on old Macs did",
        change=as_if_counted_from_1904,
        why="the dates are what that Excel shows",
    ),
    rejected("before-birth", DIAGNOSIS, "1959-03-18", "diagnosis-before-birth"),
    Operator(
        "swapped-birth-and-diagnosis",
        "the date of birth and that of the diagnosis changed places",
        typed={BIRTH: "2022-03-18", DIAGNOSIS: "1961-04-17"},
        means={BIRTH: "2022-03-18", DIAGNOSIS: None},
        says=(Said("diagnosis-before-birth", "error", place(DIAGNOSIS)),),
    ),
)
