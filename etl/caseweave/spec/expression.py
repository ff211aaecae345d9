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

from caseweave.errors import MappingError
from caseweave.spec.syntax import (
    AGGREGATES,
    BINDING,
    FUNCTIONS,
    KEYWORDS,
    Binary,
    Call,
    CodeLiteral,
    Expression,
    In,
    IsMissing,
    IsPresent,
    Literal,
    Name,
    Unary,
    binding,
    children,
    codes,
    names,
    walk,
)
from caseweave.values.types import Coding

__all__ = [
    "Binary",
    "Call",
    "CodeLiteral",
    "Expression",
    "In",
    "IsMissing",
    "IsPresent",
    "Literal",
    "Name",
    "Unary",
    "children",
    "codes",
    "names",
    "parse",
    "walk",
]

MAX_LENGTH = 2000
MAX_DEPTH = 40
TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>\d{1,30}(?:\.\d{1,30})?(?![\w.]))
  | (?P<text>"(?:[^"\\]|\\["\\])*"|'[^']*')
  | (?P<code>[A-Za-z][A-Za-z0-9_-]*\|[^\s,()"']+)
  | (?P<name>[^\W\d][\w$]*(?:(?:-[\w$]+)*\.[^\W\d][\w$]*)?)
  | (?P<sign><=|>=|!=|[=<>+\-*/(),])
""",
    re.VERBOSE,
)


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
    across_rows: bool = False
    place: int = 0
    depth: int = 0

    def error(self, token: _Token, problem: str, valid: str) -> MappingError:
        return MappingError(
            self.file,
            self.line,
            f"in '{self.text}', column {token.column}: {problem}",
            way_out=valid,
            column=token.column,
            expression=self.text,
        )

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
            raise self.error(self.token, f"expected '{text}', found {_shown(self.token)}", "Close what is open.")

    def expression(self, least: int = 0) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(self.token, f"nested deeper than {MAX_DEPTH} levels", "Split the expression.")
        left, compared = self.prefix(), False
        while (found := self.infix(left, least, compared)) is not None:
            left, compared = found, binding(found) in (BINDING["not"], BINDING["="])
        self.depth -= 1
        return left

    def infix(self, left: Expression, least: int, compared: bool) -> Expression | None:
        """One more operator behind `left`, if it binds so tightly; `compared`: the last one compared."""
        token = self.token
        operator = "in" if token.text == "not" and self.tokens[self.place + 1].text == "in" else token.text
        if token.kind not in ("sign", "word") or BINDING.get(operator, -1) < max(least, 1) or operator == "not":
            return None
        if BINDING[operator] == 4 and compared:
            raise self.error(token, "comparisons don't chain", "Join two of them with 'and', or use brackets.")
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
                raise self.error(
                    kind,
                    f"expected 'present' or 'missing', found {_shown(kind)}",
                    "Write 'is present', 'is missing' or 'is not present'.",
                )
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
        raise self.error(
            token,
            f"expected a value, found {_shown(token)}",
            'Valid here: a name, a number, "text", SYSTEM|code, a function, not, -, (.',
        )

    def call(self, token: _Token) -> Expression:
        if self.across_rows and token.text in AGGREGATES:
            (asked,) = self.arguments(1, 1)
            if not isinstance(asked, Name):
                raise self.error(token, f"{token.text}() asks for a field", f"Write {token.text}(sheet.field).")
            return Name(f"{token.text}({asked.name})")
        if token.text not in FUNCTIONS:
            known = sorted([*FUNCTIONS, *(AGGREGATES if self.across_rows else ())])
            raise self.error(token, f"unknown function '{token.text}'", f"Valid here: {', '.join(known)}.")
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
            raise self.error(start, f"{len(found)} values in brackets", f"Give {wanted}.")
        return tuple(found)


def _shown(token: _Token) -> str:
    return f"'{token.text}'" if token.text else "the end"


def _tokens(text: str, file: str, line: int) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise MappingError(
                file,
                line,
                f"in '{text}', column {place + 1}: '{text[place]}' means nothing here",
                way_out='Valid: names, numbers, "text", SYSTEM|code, = != < <= > >= + - * / ( ) ,',
                column=place + 1,
                expression=text,
            )
        kind = str(found.lastgroup)
        if kind != "space":
            word = kind == "name" and found[0] in KEYWORDS
            yield _Token("word" if word else kind, found[0], place + 1)
        place = found.end()
    yield _Token("end", "", len(text) + 1)


def parse(text: str, file: str, line: int, *, across_rows: bool = False) -> Expression:
    """Parse an expression to its tree.

    >>> print(parse("stage in ('II', 'III') and not (age<50)", "s.yaml", 4))
    stage in ("II", "III") and not age < 50

    Arguments: `file` and `line` are where it stands; `across_rows` allows what only rules may ask, such as
    latest(follow-up.visit_date). Raises MappingError that points at the column and says
    what would be valid there.
    """
    if len(text) > MAX_LENGTH:
        raise MappingError(file, line, f"an expression of {len(text):,} characters", way_out=f"{MAX_LENGTH:,} at most.")
    parser = _Parser(text, file, line, list(_tokens(text, file, line)), across_rows)
    found = parser.expression()
    if parser.token.kind != "end":
        raise parser.error(
            parser.token,
            f"unexpected {_shown(parser.token)}",
            "Valid here: and, or, a comparison, in, is present, is missing, + - * /, or the end.",
        )
    return found
