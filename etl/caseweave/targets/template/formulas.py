"""Expressions as Excel formulas, three-valued: what can't be told never marks a cell.

Each condition becomes two formulas, one that is TRUE where it holds and one that is TRUE where its contrary does.
A date is a span of days: 2021-03 lies before 2021-04-01, and whether it lies before 2021-03-15 isn't known. What
Excel can't express raises `Inexpressible`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from caseweave.spec.expression import (
    Binary,
    Call,
    Expression,
    In,
    IsMissing,
    IsPresent,
    Literal,
    Name,
    Unary,
    names,
)
from caseweave.spec.models import Field

# beyond it Excel refuses a formula
LONGEST = 8000
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
CONTRARY = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>"}


class Inexpressible(Exception):
    """Excel has no formula for this."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a name stands: `ref` of its cell in the first data row, or a formula that finds its value.

    Arguments: `list` is the range of spellings and local values of a coded field; `found` is a formula that is TRUE
    where a value was found, "" for a cell of the row itself.
    """

    field: Field
    ref: str
    list: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition as two formulas."""

    true: str
    false: str


@dataclass(frozen=True, slots=True)
class Formulas:
    """Makes formulas for the rows of one sheet.

    Arguments: `cells` by name, as rules write them; `missing` is the range of the study's codes for missing values.
    """

    cells: Mapping[str, Cell]
    missing: str = ""

    def flag(self, when: Expression | None, expr: Expression, *, undecided: bool = True) -> str:
        """TRUE where `when` holds and `expr` doesn't, or only where it surely doesn't; raises Inexpressible."""
        found = self.condition(expr)
        broken = f"NOT({found.true})" if undecided else found.false
        return self.short(broken if when is None else f"AND({self.condition(when).true},{broken})")

    def holds(self, expr: Expression) -> str:
        """TRUE where an expression holds; raises Inexpressible."""
        return self.short(self.condition(expr).true)

    def short(self, formula: str) -> str:
        if len(formula) > LONGEST:
            raise Inexpressible("the formula would be too long")
        return formula

    def condition(self, node: Expression) -> Truth:
        """A condition; raises Inexpressible."""
        if isinstance(node, Literal) and isinstance(node.value, bool):
            return Truth(str(node.value).upper(), str(not node.value).upper())
        if isinstance(node, Unary) and node.operator == "not":
            inner = self.condition(node.operand)
            return Truth(inner.false, inner.true)
        if isinstance(node, Binary) and node.operator in ("and", "or"):
            left, right = self.condition(node.left), self.condition(node.right)
            both, either = f"AND({left.true},{right.true})", f"OR({left.true},{right.true})"
            not_both, neither = f"OR({left.false},{right.false})", f"AND({left.false},{right.false})"
            return Truth(both, not_both) if node.operator == "and" else Truth(either, neither)
        if isinstance(node, IsPresent):
            given = self.present(node.operand)
            return Truth(given, f"NOT({given})")
        if isinstance(node, In):
            parts = [self.compare("=", node.operand, option) for option in node.options]
            return Truth(f"OR({','.join(p.true for p in parts)})", f"AND({','.join(p.false for p in parts)})")
        if isinstance(node, Binary) and node.operator == "!=":
            equal = self.compare("=", node.left, node.right)
            return Truth(equal.false, equal.true)
        if isinstance(node, Binary) and node.operator in CONTRARY:
            return self.compare(node.operator, node.left, node.right)
        if isinstance(node, IsMissing):
            raise Inexpressible("`is missing` tells a code for a missing value from a blank")
        raise Inexpressible(f"`{node}` is no condition for Excel")

    def cell(self, node: Expression) -> Cell:
        if not isinstance(node, Name) or node.name not in self.cells:
            raise Inexpressible(f"`{node}` stands in no cell")
        return self.cells[node.name]

    def present(self, node: Expression) -> str:
        if isinstance(node, Call) and node.function == "coalesce":
            return f"OR({','.join(self.present(one) for one in node.arguments)})"
        cell = self.cell(node)
        if cell.found:
            return f'AND({cell.found},{cell.ref}<>"")'
        return f'{self.local(cell)}<>""' if cell.list else f'AND({cell.ref}<>"",{self.not_missing(cell)})'

    def not_missing(self, cell: Cell) -> str:
        return f"COUNTIF({self.missing},{cell.ref})=0" if self.missing else "TRUE"

    def local(self, cell: Cell) -> str:
        """The local value of a coded cell as text, "" where it is blank, declared missing, or nothing that we read."""
        if cell.found:
            raise Inexpressible("a coded value of another sheet")
        found = f'IFERROR(VLOOKUP({cell.ref}&"",{cell.list},2,FALSE)&"","")'
        return f'IF({self.not_missing(cell)},{found},"")' if self.missing else found

    def compare(self, operator: str, left: Expression, right: Expression) -> Truth:
        kind = self.kind(left) or self.kind(right)
        if isinstance(left, Literal) and not isinstance(right, Literal):
            return self.compare(FLIPPED.get(operator, operator), right, left)
        make: dict[str, Callable[[str, Expression, Expression], Truth]] = {
            "code": self.codes,
            "date": self.dates,
            "number": self.numbers,
        }
        if kind not in make:
            raise Inexpressible(f"`{left} {operator} {right}` compares what Excel can't")
        return make[kind](operator, left, right)

    def kind(self, node: Expression) -> str:
        """What an operand is: code, date, number, text; "" for a literal text."""
        if isinstance(node, Name) and node.name in self.cells:
            kind = self.cells[node.name].field.type
            return "number" if kind in ("number", "integer") else "text" if kind == "id" else kind
        if isinstance(node, Literal):
            return "number" if isinstance(node.value, Decimal) else ""
        if isinstance(node, Call):
            return {"year": "number", "coalesce": self.kind(node.arguments[0])}.get(node.function, "")
        if isinstance(node, Binary):
            return "number"
        return "number" if isinstance(node, Unary) else ""

    def codes(self, operator: str, left: Expression, right: Expression) -> Truth:
        if operator != "=" or not isinstance(right, Literal) or not isinstance(right.value, str):
            raise Inexpressible("codes are compared with a local value only")
        value, wanted = self.local(self.cell(left)), quoted(right.value)
        return Truth(f"EXACT({value},{wanted})", f'AND({value}<>"",NOT(EXACT({value},{wanted})))')

    def numbers(self, operator: str, left: Expression, right: Expression) -> Truth:
        (one, known), (two, too) = self.number(left), self.number(right)
        sign, contrary = operator, CONTRARY[operator]
        known = f"AND({known},{too})" if too != "TRUE" else known
        # Excel computes every argument of AND, and a text in a sum is an error, so the comparison comes second
        return Truth(f"IF({known},{one}{sign}{two},FALSE)", f"IF({known},{one}{contrary}{two},FALSE)")

    def number(self, node: Expression) -> tuple[str, str]:
        """A number as a formula, and one that is TRUE where it is known."""
        if isinstance(node, Literal) and isinstance(node.value, Decimal):
            return f"{node.value:f}", "TRUE"
        if isinstance(node, Name):
            cell = self.cell(node)
            if cell.field.unit_field:
                raise Inexpressible(f"`{node}` has its unit in another cell")
            return cell.ref, cell.found or in_range(cell)
        if isinstance(node, Unary) and node.operator == "negative":
            inner, known = self.number(node.operand)
            return f"(-{inner})", known
        if (
            isinstance(node, Binary)
            and node.operator in "+-*/"
            and "date" not in (self.kind(node.left), self.kind(node.right))
        ):
            (one, known), (two, too) = self.number(node.left), self.number(node.right)
            return f"({one}{node.operator}{two})", f"AND({known},{too})"
        if isinstance(node, Call) and node.function == "year":
            low, _ = self.date(node.arguments[0])
            return f"YEAR({low})", f"ISNUMBER({low})"
        raise Inexpressible(f"`{node}` is no number for Excel")

    def dates(self, operator: str, left: Expression, right: Expression) -> Truth:
        low, high = self.date(left)
        low_two, high_two = self.date(right)
        table = {
            "<": (f"{high}<{low_two}", f"{low}>={high_two}"),
            "<=": (f"{high}<={low_two}", f"{low}>{high_two}"),
            ">": (f"{low}>{high_two}", f"{high}<={low_two}"),
            ">=": (f"{low}>={high_two}", f"{high}<{low_two}"),
            "=": (
                f"AND({low}={high},{low_two}={high_two},{low}={low_two})",
                f"OR({high}<{low_two},{low}>{high_two})",
            ),
        }
        true, false = table[operator]
        return Truth(f"IFERROR({true},FALSE)", f"IFERROR({false},FALSE)")

    def date(self, node: Expression) -> tuple[str, str]:
        """The first and the last day that a date can be, as formulas that are errors where it isn't known."""
        if isinstance(node, Literal) and isinstance(node.value, str):
            return first_day(quoted(node.value)), last_day(quoted(node.value))
        if isinstance(node, Call) and node.function == "coalesce" and len(node.arguments) == 2:
            one, two = (self.date(argument) for argument in node.arguments)
            return f"IFERROR({one[0]},{two[0]})", f"IFERROR({one[1]},{two[1]})"
        cell = self.cell(node)
        low, high = first_day(cell.ref), last_day(cell.ref)
        return (f"IF({cell.found},{low},NA())", f"IF({cell.found},{high},NA())") if cell.found else (low, high)


def in_range(cell: Cell) -> str:
    """TRUE for a number that is loaded; one that can't be is no number for the rules either."""
    low, high = cell.field.range_error or (None, None)
    tests = [f"ISNUMBER({cell.ref})"]
    tests += [f"{cell.ref}>={low:f}"] if low is not None else []
    tests += [f"{cell.ref}<={high:f}"] if high is not None else []
    return tests[0] if len(tests) == 1 else f"AND({','.join(tests)})"


def first_day(ref: str) -> str:
    """The first day of a date: a real one, a year as a number, or a text such as 2021-03; an error for a blank."""
    return f'IF(ISNUMBER({ref}),IF({ref}<2200,DATE({ref},1,1),{ref}),DATEVALUE(LEFT({ref}&"-01-01",10)))'


def last_day(ref: str) -> str:
    """The last day of a date; an error for a blank."""
    month = f'EDATE(DATEVALUE({ref}&"-01"),1)-1'
    text = f'IF(LEN({ref})=4,DATEVALUE({ref}&"-12-31"),IF(LEN({ref})=7,{month},DATEVALUE({ref}&"")))'
    return f"IF(ISNUMBER({ref}),IF({ref}<2200,DATE({ref},12,31),{ref}),{text})"


def quoted(text: str) -> str:
    """A text as a formula writes it.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + text.replace('"', '""') + '"'


def fields_named(*parts: Expression | None) -> frozenset[str]:
    """The names in some expressions."""
    return frozenset().union(*(names(part) for part in parts if part is not None))
