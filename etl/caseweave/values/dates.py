"""Dates as people type them, to the day, the month or the year; one that can be two dates is none."""

from __future__ import annotations

import datetime
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from caseweave.values.grid import RawCell
from caseweave.values.problems import Problem, plain
from caseweave.values.types import CellError, PartialDate

Precision = Literal["day", "month", "year"]
_RANK: dict[str, int] = {"year": 0, "month": 1, "day": 2}
_EARLIEST = 1850
# of its first 60 days one, 1900-02-29, never was, so that readers differ about them; nobody was treated on one
_NUMBERS_AS_DATES = frozenset({(1899, 12), (1900, 1), (1900, 2)})
_EXCEL_EPOCH = datetime.date(1899, 12, 30)
_LAST_SERIAL = 2958465  # 9999-12-31

# English, Spanish, German, French, Italian, Portuguese; without accents, matched by the whole word or its
# abbreviation
_MONTHS = (
    "jan january ene enero januar jaenner janner janv janvier gen gennaio janeiro",
    "feb february febrero februar fev fevr fevrier febbraio fevereiro",
    "mar march marzo marz mrz maerz mars marco",
    "apr april abr abril avr avril aprile",
    "may mayo mai mag maggio maio",
    "jun june junio juni juin giu giugno junho",
    "jul july julio juli juil juillet lug luglio julho",
    "aug august ago agosto aout",
    "sep sept september septiembre setiembre septembre set settembre setembro",
    "oct october octubre okt oktober octobre ott ottobre out outubro",
    "nov november noviembre novembre novembro",
    "dec december dic diciembre dez dezember decembre dicembre dezembro",
)
MONTHS = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}

_TOKENS = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "MMM": r"(?P<name>[^\W\d_]{3,12})\.?",
    "MM": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{1,2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "D": r"(?P<day>[0-9]{1,2})",
}
_TOKEN = re.compile(r"YYYY|MMM|MM|DD|M|D")
_TIME = re.compile(
    r"(?:T| )[0-2]?[0-9]:[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]+)?)?"
    r" ?(?:[AaPp]\.?[Mm]\.?)? ?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_NUMERIC = re.compile(r"([0-9]{1,4})([./ -]) ?([0-9]{1,2})\2 ?([0-9]{1,4})\.?")
# other ways of writing, for suggestions: digits in a row, a day or month 00 that nobody knows, month and year
_LOOKALIKES = str.maketrans("OoIl\u2010\u2011\u2012\u2013\u2014\u2212\uff0d", "0011-------")
_COMPACT = re.compile(r"(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])(?P<day>[0-3][0-9])?")
_UNKNOWN = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>0?[1-9]|1[0-2]))?(?:-00?)+")
_MONTH_YEAR = re.compile(r"(?P<month>0?[1-9]|1[0-2])[-./](?P<year>(?:19|20)[0-9]{2})")
_SERIAL = re.compile(r"[1-4][0-9]{4}")
_ORDERS = {"DMY": (2, 1, 0), "MDY": (2, 0, 1)}  # where year, month and day stand


@dataclass(frozen=True, slots=True)
class DateRules:
    """How a study writes dates.

    >>> DateRules(accept=("DD.MM.YY",))
    Traceback (most recent call last):
    ValueError: 'DD.MM.YY' isn't a date format: write YYYY, MM or MMM, DD with marks between them

    `order`: how a date of three numbers is read beyond the listed formats (YMD: year first only); `accept`:
    formats of YYYY, MM (or MMM, a month's name) and DD, `excel` for true dates, `excel-serial` for their bare
    numbers; `ambiguous`: `error`, or `order` to let the order decide; `future`: `error` or `allow`;
    `partial`: `keep` or `reject`; `precision`: the least that is accepted; `today`: for tests.
    """

    order: Literal["YMD", "DMY", "MDY"] = "YMD"
    accept: tuple[str, ...] = ("excel", "YYYY-MM-DD", "DD.MM.YYYY", "YYYY-MM", "YYYY")
    ambiguous: Literal["error", "order"] = "error"
    future: Literal["error", "allow"] = "error"
    partial: Literal["keep", "reject"] = "keep"
    precision: Precision = "year"
    today: datetime.date | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for format_ in self.accept:
            _pattern(format_)

    @property
    def expected(self) -> str:
        """What a cell should hold, in words."""
        formats = [format_ for format_ in self.accept if not format_.startswith("excel")]
        needed = {"day": "a date to the day", "month": "a date to the month at least", "year": "a date"}
        least = "day" if self.partial == "reject" else self.precision
        return f"{needed[least]}: an Excel date, or text like " + ", ".join(formats or ["YYYY-MM-DD"])


def parse_date(raw: RawCell, rules: DateRules | None = None) -> PartialDate | Problem:
    """Read a date.

    >>> parse_date("2021-03")
    PartialDate(iso='2021-03')
    >>> parse_date("03/04/2020").rule
    'ambiguous-date'

    Arguments: the raw cell and the study's rules. Never raises: what can't be taken is a Problem with one of
    the rules not-a-date, ambiguous-date, future-date, implausible-date, too-coarse, cell-error.
    """
    rules = rules or DateRules()
    if isinstance(raw, CellError):
        return Problem("cell-error", f"The cell holds no value ({raw.text}).", rules.expected)
    if isinstance(raw, datetime.date):  # a datetime too: the time of day is left out
        if "excel" not in rules.accept:
            return _not_a_date(rules, "It is stored as an Excel date, which this study doesn't accept.")
        if (raw.year, raw.month) in _NUMBERS_AS_DATES:
            message = "It may be a small number in the format of a date: Excel counts its days from 1900 on."
            return Problem("implausible-date", message, rules.expected)
        return _checked(f"{raw.year:04}-{raw.month:02}-{raw.day:02}", rules)
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return _from_number(raw, rules)
    if isinstance(raw, str):
        return _from_text(_TIME.sub("", plain(raw)), rules)
    return _not_a_date(rules, "This is no date.")


def _from_number(raw: int | float, rules: DateRules) -> PartialDate | Problem:
    if abs(raw) < 1e9 and raw == int(raw):
        text = str(int(raw))
        compact = [format_ for format_ in ("YYYY", "YYYYMM", "YYYYMMDD") if format_ in rules.accept]
        if any(len(format_) == len(text) for format_ in compact):
            return _from_text(text, rules)
    if not 0 < raw <= _LAST_SERIAL:
        return _not_a_date(rules, "It is a number and no date.", _meant(str(raw)))
    serial = (_EXCEL_EPOCH + datetime.timedelta(days=int(raw))).isoformat()
    if "excel-serial" in rules.accept:
        return _checked(serial, rules)
    if raw >= 100_000 and (meant := _meant(str(raw))):  # as a serial it would lie in the years after 2173
        return _not_a_date(rules, "It is a number and no date.", meant)
    return Problem(
        "ambiguous-date",
        "It is a bare number; whether it counts days as Excel does isn't declared.",
        rules.expected,
        f"{serial}, if the cell should have been formatted as a date",
    )


def _from_text(text: str, rules: DateRules) -> PartialDate | Problem:
    readings: list[str] = []
    matched = False
    for format_ in rules.accept:
        pattern = _pattern(format_)
        match = pattern.fullmatch(text) if pattern else None
        if match:
            matched = True
            reading = _iso(match.groupdict())
            if reading and reading not in readings:
                readings.append(reading)
    if len(readings) > 1 and rules.ambiguous == "order":
        readings = [reading for reading in readings if reading in _numeric_readings(text, rules.order)] or readings
    if len(readings) == 1:
        return _checked(readings[0], rules)
    if len(readings) > 1:
        return _ambiguous(rules, readings)
    if matched:
        return _not_a_date(rules, "There is no such day.", _meant(text))
    return _beyond_the_formats(text, rules)


def _beyond_the_formats(text: str, rules: DateRules) -> PartialDate | Problem:
    declared = _numeric_readings(text, rules.order)
    if declared:
        return _checked(declared[0], rules)
    possible = [reading for order in _ORDERS for reading in _numeric_readings(text, order)]
    possible = list(dict.fromkeys(possible))
    if len(possible) > 1:
        return _ambiguous(rules, possible)
    numbers = _NUMERIC.fullmatch(text)
    if numbers and len(numbers[1]) <= 2 and len(numbers[4]) <= 2:
        return Problem("ambiguous-date", "A year of two digits can be two years.", rules.expected)
    if numbers and not possible:
        return _not_a_date(rules, "There is no such day.", _meant(text))
    return _not_a_date(rules, "It isn't written in a way that this study accepts.", (possible or [_meant(text)])[0])


def _numeric_readings(text: str, order: str) -> list[str]:
    """What three numbers mean in an order; a year of four digits in front is always year, month, day."""
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return []
    parts = (match[1], match[3], match[4])
    if len(parts[0]) == 4:
        year, month, day = (0, 1, 2)
    elif order in _ORDERS and len(parts[2]) == 4:
        year, month, day = _ORDERS[order]
    else:
        return []
    reading = _iso({"year": parts[year], "month": parts[month], "day": parts[day]})
    return [reading] if reading else []


def _meant(text: str) -> str:
    """What a date that is written in another way was meant to be, for a suggestion; "" where that can't be told."""
    if named := _named(text):
        return named
    tidy = text.translate(_LOOKALIKES)
    for pattern in (_COMPACT, _UNKNOWN, _MONTH_YEAR):
        if (match := pattern.fullmatch(tidy)) and (reading := _iso(match.groupdict(""))):
            return reading
    if _SERIAL.fullmatch(tidy):
        return (_EXCEL_EPOCH + datetime.timedelta(days=int(tidy))).isoformat()
    readings = [reading for order in _ORDERS for reading in _numeric_readings(tidy, order)]
    return " or ".join(dict.fromkeys(readings))


def _named(text: str) -> str:
    """The reading of a date with a month's name, for a suggestion."""
    for format_ in ("DD MMM YYYY", "MMM DD YYYY", "MMM YYYY"):
        pattern = _pattern(format_)
        match = pattern.fullmatch(text.replace(",", "").replace(" de ", " ")) if pattern else None
        if match:
            return _iso(match.groupdict()) or ""
    return ""


def _iso(parts: dict[str, str]) -> str | None:
    year = int(parts["year"])
    if year == 0 or len(parts["year"]) != 4:
        return None
    if not (parts.get("month") or parts.get("name")):
        return f"{year:04}"
    month = int(parts["month"]) if parts.get("month") else MONTHS.get(_bare(parts["name"]), 0)
    if not 1 <= month <= 12:
        return None
    if not parts.get("day"):
        return f"{year:04}-{month:02}"
    try:
        return datetime.date(year, month, int(parts["day"])).isoformat()
    except ValueError:
        return None


def _bare(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@lru_cache(maxsize=256)
def _pattern(format_: str) -> re.Pattern[str] | None:
    """The pattern of a format; None for the Excel ones. Raises ValueError for what isn't a format."""
    if format_ in ("excel", "excel-serial"):
        return None
    tokens = _TOKEN.findall(format_)
    marks = _TOKEN.split(format_)
    parts = {token[0] for token in tokens}
    sound = (
        tokens.count("YYYY") == 1
        and len(parts) == len(tokens)
        and ("D" not in parts or "M" in parts)
        and all(set(mark) <= set("-./ ,") for mark in marks)
    )
    if not sound:
        raise ValueError(f"'{format_}' isn't a date format: write YYYY, MM or MMM, DD with marks between them")
    if not any(marks):  # digits in a row need their full width
        return re.compile("".join(_TOKENS[token].replace("{1,2}", "{2}") for token in tokens))
    flexible = "MMM" in tokens  # with a month's name no mark can mislead
    pieces = [_mark(marks[0], flexible)]
    for token, mark in zip(tokens, marks[1:], strict=True):
        pieces += [_TOKENS[token], _mark(mark, flexible)]
    return re.compile("".join(pieces))


def _mark(mark: str, flexible: bool) -> str:
    if not mark:
        return ""
    return "[-./ ,]{1,2}" if flexible else re.escape(mark)


def _checked(iso: str, rules: DateRules) -> PartialDate | Problem:
    date = PartialDate(iso)
    least = "day" if rules.partial == "reject" else rules.precision
    if date.year < _EARLIEST:
        return Problem("implausible-date", f"No patient of a study has a date before {_EARLIEST}.", rules.expected)
    if rules.future == "error" and date.first_day() > (rules.today or datetime.date.today()):
        return Problem("future-date", "The date lies in the future.", "a date until today")
    if _RANK[date.kind] < _RANK[least]:
        return Problem("too-coarse", f"The date is known to the {date.kind} only.", rules.expected)
    return date


def _ambiguous(rules: DateRules, readings: list[str]) -> Problem:
    return Problem(
        "ambiguous-date", "It can be read as two dates: day or month may stand first.", rules.expected,
        " or ".join(readings),
    )  # fmt: skip


def _not_a_date(rules: DateRules, message: str, suggestion: str = "") -> Problem:
    return Problem("not-a-date", message, rules.expected, suggestion)
