"""The one small expression language: parsed to a tree, never evaluated as code.

    expression = expression ("or" | "and") expression | "not" expression | operand [test]
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=") operand | ["not"] "in" "(" operand, ... ")"
               | "is" ["not"] ("present" | "missing")
    operand    = operand ("+" | "-" | "*" | "/") operand | "-" operand | name | number | "text" | SYSTEM|code
               | true | false | function "(" expression, ... ")" | "(" expression ")"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from caseweave.errors import MappingError
from caseweave.values.types import Coding

MAX_LENGTH = 2000
MAX_DEPTH = 40

# name -> (fewest arguments, most arguments, what it gives)
FUNCTIONS: dict[str, tuple[int, int, str]] = {
    "coalesce": (1, 20, "the first argument that is present"),
    "age_at": (2, 2, "completed years from a birth date to a date"),
    "months_between": (2, 2, "completed months from the first date to the second"),
    "year": (1, 1, "the year of a date"),
    "code": (1, 1, "the main code of a coded value, as text and without its system"),
    "yes": (1, 1, "whether a code means yes (vocabularies/presence.yaml)"),
    "no": (1, 1, "whether a code means no (vocabularies/presence.yaml)"),
    "unknown": (1, 1, "whether a code, or a declared missing value, means unknown"),
    "anchor_year": (0, 0, "the year of the study's anchor date"),
}
COMPARISONS = ("=", "!=", "<=", ">=", "<", ">")
# operator -> how tightly it binds
BINDING = {"or": 1, "and": 2, "not": 3, **dict.fromkeys(COMPARISONS, 4), "in": 4, "is": 4,
           "+": 5, "-": 5, "*": 6, "/": 6, "negative": 7}
KEYWORDS = frozenset({"and", "or", "not", "in", "is", "present", "missing", "true", "false"})


@dataclass(frozen=True, slots=True)
class Name:
    """A field of the row, or a slot of the pattern."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true or false."""

    value: Decimal | str | bool

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return '"' + self.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return str(self.value).lower() if isinstance(self.value, bool) else f"{self.value:f}"


@dataclass(frozen=True, slots=True)
class CodeLiteral:
    """A code, written SYSTEM|code."""

    coding: Coding

    def __str__(self) -> str:
        return str(self.coding)


@dataclass(frozen=True, slots=True)
class Unary:
    """`not x` or `-x`; the operator is "not" or "negative"."""

    operator: str
    operand: Expression

    def __str__(self) -> str:
        inner = _inside(self.operand, BINDING[self.operator])
        return f"not {inner}" if self.operator == "not" else f"-{inner}"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands: and, or, a comparison, arithmetic."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        binding = BINDING[self.operator]
        left = _inside(self.left, binding + (self.operator in COMPARISONS))
        return f"{left} {self.operator} {_inside(self.right, binding + 1)}"


@dataclass(frozen=True, slots=True)
class In:
    """Whether the operand equals one of several."""

    operand: Expression
    options: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} in ({', '.join(map(str, self.options))})"


@dataclass(frozen=True, slots=True)
class IsPresent:
    """Whether there is a value that isn't declared missing."""

    operand: Expression

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} is present"


@dataclass(frozen=True, slots=True)
class IsMissing:
    """Whether the value is declared missing (a blank isn't)."""

    operand: Expression

    def __str__(self) -> str:
        return f"{_inside(self.operand, 5)} is missing"


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Expression = Name | Literal | CodeLiteral | Unary | Binary | In | IsPresent | IsMissing | Call


def _binding(expression: Expression) -> int:
    if isinstance(expression, Unary | Binary):
        return BINDING[expression.operator]
    return 4 if isinstance(expression, In | IsPresent | IsMissing) else 9


def _inside(expression: Expression, least: int) -> str:
    return f"({expression})" if _binding(expression) < least else str(expression)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    if isinstance(expression, Unary | IsPresent | IsMissing):
        return (expression.operand,)
    if isinstance(expression, Binary):
        return (expression.left, expression.right)
    if isinstance(expression, In):
        return (expression.operand, *expression.options)
    return expression.arguments if isinstance(expression, Call) else ()


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and everything inside it."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def names(expression: Expression) -> frozenset[str]:
    """The fields or slots that an expression names.

    >>> sorted(names(parse("year(birth) > 1900 and er = SCT|10828004", "f", 1)))
    ['birth', 'er']
    """
    return frozenset(part.name for part in walk(expression) if isinstance(part, Name))


def codes(expression: Expression) -> tuple[Coding, ...]:
    """The codes that an expression names."""
    return tuple(part.coding for part in walk(expression) if isinstance(part, CodeLiteral))


TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<number>\d{1,30}(?:\.\d{1,30})?(?![\w.]))
  | (?P<text>"(?:[^"\\]|\\["\\])*"|'[^']*')
  | (?P<code>[A-Za-z][A-Za-z0-9_-]*\|[^\s,()"']+)
  | (?P<name>[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)?)
  | (?P<sign><=|>=|!=|[=<>+\-*/(),])
""", re.VERBOSE)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


@dataclass
class _Parser:
    text: str
    file: str
    line: int
    tokens: list[_Token]
    place: int = 0
    depth: int = 0

    def fail(self, token: _Token, problem: str, valid: str) -> NoReturn:
        raise MappingError(self.file, self.line, f"in '{self.text}', column {token.column}: {problem}", way_out=valid,
                           column=token.column, expression=self.text)

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def next(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def accept(self, *texts: str) -> bool:
        if self.token.kind in ("sign", "word") and self.token.text in texts:
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.fail(self.token, f"expected '{text}', found {_shown(self.token)}", "Close what is open.")

    def expression(self, least: int = 0) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(self.token, f"nested deeper than {MAX_DEPTH} levels", "Split the expression.")
        left, compared = self.prefix(), False
        while (found := self.infix(left, least, compared)) is not None:
            left, compared = found, _binding(found) in (BINDING["not"], BINDING["="])
        self.depth -= 1
        return left

    def infix(self, left: Expression, least: int, compared: bool) -> Expression | None:
        """One more operator behind `left`, if it binds at least so tightly; `compared`: the last one compared."""
        token = self.token
        operator = "in" if token.text == "not" and self.tokens[self.place + 1].text == "in" else token.text
        if token.kind not in ("sign", "word") or BINDING.get(operator, -1) < max(least, 1) or operator == "not":
            return None
        if BINDING[operator] == 4 and compared:
            self.fail(token, "comparisons don't chain", "Join two of them with 'and', or use brackets.")
        self.place += 1
        if operator == "in":
            if token.text == "not":
                self.place += 1
            found: Expression = In(left, self.arguments(1, 200))
            return Unary("not", found) if token.text == "not" else found
        if operator == "is":
            negated = self.accept("not")
            kind = self.next()
            if kind.text not in ("present", "missing") or kind.kind != "word":
                self.fail(kind, f"expected 'present' or 'missing', found {_shown(kind)}",
                          "Write 'is present', 'is missing' or 'is not present'.")
            found = IsPresent(left) if kind.text == "present" else IsMissing(left)
            return Unary("not", found) if negated else found
        return Binary(operator, left, self.expression(BINDING[operator] + 1))

    def prefix(self) -> Expression:
        token = self.next()
        if token.kind == "number":
            return Literal(Decimal(token.text))
        if token.kind == "text":
            body = token.text[1:-1]
            return Literal(re.sub(r"\\(.)", r"\1", body, flags=re.DOTALL) if token.text[0] == '"' else body)
        if token.kind == "code":
            system, _, code = token.text.partition("|")
            return CodeLiteral(Coding(system, code))
        if token.kind == "name":
            return self.call(token) if self.token.text == "(" else Name(token.text)
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        if token.text == "not":
            return Unary("not", self.expression(BINDING["not"]))
        if token.text == "-":
            return Unary("negative", self.expression(BINDING["negative"]))
        if token.text == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        self.fail(token, f"expected a value, found {_shown(token)}",
                  'Valid here: a name, a number, "text", SYSTEM|code, a function, not, -, (.')

    def call(self, token: _Token) -> Expression:
        if token.text not in FUNCTIONS:
            self.fail(token, f"unknown function '{token.text}'", f"Valid here: {', '.join(sorted(FUNCTIONS))}.")
        fewest, most, _ = FUNCTIONS[token.text]
        arguments = self.arguments(fewest, most)
        # the anchor is a value that every study may have, and is looked up like one
        return Call(token.text, arguments) if most else Name(token.text)

    def arguments(self, fewest: int, most: int) -> tuple[Expression, ...]:
        start = self.token
        self.expect("(")
        found: list[Expression] = []
        while not (not found and self.token.text == ")"):
            found.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")")
        if not fewest <= len(found) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            self.fail(start, f"{len(found)} values in brackets", f"Give {wanted}.")
        return tuple(found)


def _shown(token: _Token) -> str:
    return f"'{token.text}'" if token.text else "the end"


def _tokens(text: str, file: str, line: int) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise MappingError(file, line, f"in '{text}', column {place + 1}: '{text[place]}' means nothing here",
                               way_out='Valid: names, numbers, "text", SYSTEM|code, = != < <= > >= + - * / ( ) ,',
                               column=place + 1, expression=text)
        kind = str(found.lastgroup)
        if kind != "space":
            word = kind == "name" and found[0] in KEYWORDS
            yield _Token("word" if word else kind, found[0], place + 1)
        place = found.end()
    yield _Token("end", "", len(text) + 1)


def parse(text: str, file: str, line: int) -> Expression:
    """Parse an expression to its tree.

    >>> print(parse("stage in ('II', 'III') and not (age<50)", "s.yaml", 4))
    stage in ("II", "III") and not age < 50

    Arguments: `file` and `line` are where it stands. Raises MappingError that points at the column and says what
    would be valid there.
    """
    if len(text) > MAX_LENGTH:
        raise MappingError(file, line, f"an expression of {len(text):,} characters", way_out=f"{MAX_LENGTH:,} at most.")
    parser = _Parser(text, file, line, list(_tokens(text, file, line)))
    found = parser.expression()
    if parser.token.kind != "end":
        parser.fail(parser.token, f"unexpected {_shown(parser.token)}",
                    "Valid here: and, or, a comparison, in, is present, is missing, + - * /, or the end.")
    return found
