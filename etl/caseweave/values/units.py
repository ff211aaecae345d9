"""Units: common spellings become UCUM, and numbers are converted by declared factors, digit for digit.

Standard: UCUM 2.1, case-sensitive codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext

from caseweave.values.problems import Problem, plain

Factor = int | float | str | Decimal
Accepted = Mapping[str, Factor | Mapping[str, Factor]]

# UCUM code: spellings, compared without case, spaces and final point; spellings that case tells apart stand
# below
_SPELLINGS = {
    "mm": "mm millimeter millimeters millimetre millimetres milimetro milimetros",
    "cm": "cm centimeter centimeters centimetre centimetres centimetro centimetros",
    "m": "m meter meters metre metres metro metros",
    "um": "um µm μm micrometer micrometre micron microns",
    "kg": "kg kgs kilo kilos kilogram kilograms kilogramo kilogramos",
    "g": "g gr gram grams gramme gramos",
    "mg": "mg milligram milligrams",
    "ug": "ug µg μg mcg microgram micrograms",
    "ng": "ng nanogram",
    "g/dL": "g/dl gr/dl",
    "mg/dL": "mg/dl",
    "g/L": "g/l",
    "mg/L": "mg/l",
    "ug/L": "ug/l µg/l μg/l mcg/l",
    "ng/mL": "ng/ml",
    "pg/mL": "pg/ml",
    "ug/mL": "ug/ml µg/ml μg/ml mcg/ml",
    "ng/dL": "ng/dl",
    "mmol/L": "mmol/l",
    "umol/L": "umol/l µmol/l μmol/l",
    "nmol/L": "nmol/l",
    "pmol/L": "pmol/l",
    "U/L": "u/l",
    "U/mL": "u/ml",
    "k[IU]/L": "kiu/l kui/l",
    "[IU]/mL": "iu/ml ui/ml",
    "[IU]/L": "iu/l ui/l",
    "10*9/L": "10^9/l 10e9/l 10*9/l x10^9/l x10*9/l ×10^9/l 10⁹/l x10⁹/l giga/l",
    "10*12/L": "10^12/l 10*12/l x10^12/l 10¹²/l",
    "10*3/uL": "10^3/ul 10^3/µl 10^3/μl 10*3/ul k/ul k/µl",
    "mL": "ml cc milliliter milliliters millilitre",
    "L": "l liter liters litre litros",
    "cm3": "cm3 cm^3 cm³ ccm",
    "mm2": "mm2 mm^2 mm²",
    "cm2": "cm2 cm^2 cm²",
    "m2": "m2 m^2 m²",
    "kg/m2": "kg/m2 kg/m^2 kg/m²",
    "%": "% percent per-cent pct porciento prozent",
    "a": "a y yr yrs year years jahr jahre ano anos año años an ans",
    "mo": "mo month months mes meses monat monate mois",
    "wk": "wk week weeks semana semanas woche wochen",
    "d": "d day days dia dias día días tag tage jour jours",
    "h": "h hr hrs hour hours hora horas stunde stunden",
    "min": "min minute minutes minuto minutos",
    "s": "s sec secs second seconds",
    "Gy": "gy gray",
    "cGy": "cgy centigray",
    "mm[Hg]": "mmhg mm[hg]",
    "Cel": "°c celsius cel degc",
    "[degF]": "°f fahrenheit degf [degf]",
    "[in_i]": "in inch inches [in_i]",
    "[ft_i]": "ft foot feet [ft_i]",
    "[lb_av]": "lb lbs pound pounds [lb_av]",
    "mg/m2": "mg/m2 mg/m^2 mg/m²",
    "mg/kg": "mg/kg",
    "/min": "/min bpm",
    "kPa": "kpa",
    "mL/min": "ml/min",
    "mL/min/{1.73_m2}": "ml/min/1.73m2 ml/min/{1.73_m2}",
    "/[HPF]": "/hpf /[hpf]",
    "1": "1",
}
_BY_SPELLING = {spelling: code for code, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_CASED = {"M": "mol/L", "Pa": "Pa", "MBq": "MBq", "mBq": "mBq", "Mg": "Mg"}


# what a column of units may hold where no value set says
KNOWN_UNITS = frozenset((*_SPELLINGS, *_CASED.values()))


def normal_unit(unit: str) -> str:
    """The UCUM code of a unit as people spell it; what isn't known stays as it is.

    >>> normal_unit("g/dl"), normal_unit("Percent"), normal_unit("[arb'U]")
    ('g/dL', '%', "[arb'U]")
    """
    text = plain(unit)
    if text in _CASED:
        return _CASED[text]
    return _BY_SPELLING.get(text.replace(" ", "").rstrip(".").lower(), text)


def convert(number: str, from_unit: str, accept: Accepted, to_unit: str) -> str | Problem:
    """Convert a number to the unit of its field.

    >>> convert("1.50", "cm", {"cm": 10}, "mm")
    '15.0'

    Arguments: the number's text; the unit in the cell ('' is the field's own); accepted units, each with a
    factor or {factor, offset} (result = number x factor + offset); the field's unit.
    Returns the number's text, or a Problem with the rule unknown-unit. Raises ValueError for a factor that is
    none.
    """
    unit, target = normal_unit(from_unit), normal_unit(to_unit)
    if not unit or unit == target:
        return number
    rule = next((rule for name, rule in accept.items() if normal_unit(name) == unit), None)
    if rule is None:
        units = ", ".join([target, *(normal_unit(name) for name in accept)])
        return Problem("unknown-unit", "The unit isn't one that this field accepts.", f"a number in {units}")
    parts: Mapping[str, Factor] = rule if isinstance(rule, Mapping) else {"factor": rule}
    factor, offset = _decimal(parts.get("factor", 1)), _decimal(parts.get("offset", 0))
    return _text(Decimal(number), factor, offset)


def _text(value: Decimal, factor: Decimal, offset: Decimal) -> str:
    with localcontext(prec=80):
        result = value * factor + offset
        exponent = value.as_tuple().exponent
        decimals = -exponent if isinstance(exponent, int) else 0
        if offset:  # significant digits mean nothing on a shifted scale; its decimals do
            return format(round(result, max(decimals, 1)), "f")
        if factor.normalize().as_tuple().digits == (1,):  # a power of ten only moves the point
            return format(round(result, max(decimals - factor.adjusted(), 0)), "f")
        digits = max(len(value.as_tuple().digits) + 1, 4)
        rounded = round(result, max(digits - 1 - result.adjusted(), 0) if result else 0)
        whole = rounded == rounded.to_integral_value()
        return format(rounded.to_integral_value() if whole else rounded.normalize(), "f")


def _decimal(factor: Factor) -> Decimal:
    try:
        return Decimal(str(factor))
    except InvalidOperation as error:
        raise ValueError(f"'{factor}' isn't a factor") from error
