"""Conditions as REDCap and EuCanImage write them, `[histopat] = '0' AND [x] <> ""`, into the expression language.

Coded fields have no order here: `[drug] <= 13` becomes the list of the codes up to 13. A comparison with '' asks
whether something stands in the cell. What has no counterpart is refused by name, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from caseweave.importers.draft import Item
from caseweave.spec.expression import Binary, Expression, In, IsPresent, Literal, Name, Unary

MAX_DEPTH = 40
TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<field>\[\s*(?P<name>[A-Za-z][\w-]*)\s*(?:\(\s*(?P<box>-?\w+)\s*\))?\s*\])
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<sign><>|!=|<=|>=|[=<>()+*/,-])
  | (?P<word>[A-Za-z_]\w*)
""",
    re.VERBOSE,
)
# signs of the source -> what they are called here
COMPARISONS = {"=": "=", "<>": "!=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
ARITHMETIC = ({"+", "-"}, {"*", "/"})
ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class NotExpressible(Exception):
    """A condition that the expression language can't say, or that makes no sense in the form; its text says why."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    box: str = ""


def translate(text: str, items: Mapping[str, Item]) -> Expression:
    """A condition as an expression over the items of its form.

    >>> drug = Item("drug", "code", "", choices=(("0", "A"), ("1", "B"), ("2", "C")))
    >>> print(translate("([drug] <= 1 AND [age] <> '')", {"drug": drug, "age": Item("age", "integer", "")}))
    drug in ("0", "1") and age is present

    Arguments: `items` by name, boxes of a checkbox among them. Raises NotExpressible with the reason.
    """
    parser = _Parser(_tokens(text), items)
    found = parser.either()
    if parser.place < len(parser.tokens):
        raise NotExpressible(f"'{parser.tokens[parser.place].text}' stands where nothing more is expected")
    return found


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    while place < len(text):
        one = TOKEN.match(text, place)
        if one is None:
            quoted = text[place] in "\"'"
            raise NotExpressible(
                "a quote is opened and not closed" if quoted else f"'{text[place]}' means nothing here"
            )
        kind = str(one.lastgroup) if one["field"] is None else "field"
        if kind == "field":
            found.append(_Token("field", one["name"], one["box"] or ""))
        elif kind != "space":
            found.append(_Token(kind, one[0]))
        place = one.end()
    if not found:
        raise NotExpressible("it is empty")
    return found


@dataclass
class _Parser:
    tokens: list[_Token]
    items: Mapping[str, Item]
    place: int = 0
    depth: int = 0

    def ahead(self) -> str:
        """The next sign or word, small; "" for anything else."""
        if self.place < len(self.tokens) and self.tokens[self.place].kind in ("sign", "word"):
            return self.tokens[self.place].text.casefold()
        return ""

    def accept(self, *texts: str) -> bool:
        if self.ahead() and self.ahead() in texts:
            self.place += 1
            return True
        return False

    def either(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotExpressible("it is nested too deeply")
        found = self.both()
        while self.accept("or"):
            found = Binary("or", found, self.both())
        self.depth -= 1
        return found

    def both(self) -> Expression:
        found = self.one()
        while self.accept("and"):
            found = Binary("and", found, self.one())
        return found

    def one(self) -> Expression:
        """A comparison, a negation, or a condition in brackets."""
        if self.accept("not", "!"):
            return Unary("not", self.one())
        start = self.place
        if self.accept("("):
            found = self.either()
            if not self.accept(")"):
                raise NotExpressible("a bracket is not closed")
            if _asks(found):
                return found
            self.place = start  # it was a value in brackets
        left = self.value()
        sign = self.ahead()
        if sign not in COMPARISONS:
            # a value in brackets meets its bracket here, and is compared outside it
            if self.depth > 1 and sign == ")":
                return left
            raise NotExpressible("a value stands alone; it must be compared with something")
        self.place += 1
        return self.compare(COMPARISONS[sign], left, self.value())

    def value(self, level: int = 0) -> Expression:
        if level == len(ARITHMETIC):
            return self.operand()
        found = self.value(level + 1)
        while self.ahead() in ARITHMETIC[level]:
            self.place += 1
            found = Binary(self.tokens[self.place - 1].text, found, self.value(level + 1))
        return found

    def operand(self) -> Expression:
        if self.place == len(self.tokens):
            raise NotExpressible("it ends where a value is expected")
        token = self.tokens[self.place]
        self.place += 1
        if token.kind == "number":
            return Literal(Decimal(token.text))
        if token.kind == "text":
            return Literal(token.text[1:-1].strip())
        if token.kind == "field":
            if self.place < len(self.tokens) and self.tokens[self.place].kind == "field":
                raise NotExpressible(f"it asks for another event or instance, [{token.text}]")
            return self.name(token)
        if token.text == "-":
            return Unary("negative", self.operand())
        if token.text == "(":
            found = self.value()
            if not self.accept(")"):
                raise NotExpressible("a bracket is not closed")
            return found
        if token.kind == "word":
            raise NotExpressible(f"the function {token.text}() has no counterpart")
        raise NotExpressible(f"'{token.text}' stands where a value is expected")

    def name(self, token: _Token) -> Name:
        boxes = {one.box[1]: one for one in self.items.values() if one.box[0] == token.text}
        if token.box:
            if token.box in boxes:
                return Name(boxes[token.box].name)
            if token.text in self.items:
                raise NotExpressible(f"it asks for box {token.box} of '{token.text}', which is no checkbox")
        elif boxes:
            raise NotExpressible(f"it compares checkbox '{token.text}' as a whole; it must say which box")
        if token.box or token.text not in self.items:
            raise NotExpressible(f"it asks for '{token.text}{token.box and '(' + token.box + ')'}', which isn't there")
        if self.items[token.text].ignore:
            raise NotExpressible(f"it asks for '{token.text}', which is not read: {self.items[token.text].ignore}")
        return Name(self.items[token.text].name)

    def compare(self, sign: str, left: Expression, right: Expression) -> Expression:
        if isinstance(left, Literal) and not isinstance(right, Literal):
            return self.compare(TURNED[sign], right, left)
        if not isinstance(left, Name) or not isinstance(right, Literal | Unary):
            return Binary(sign, left, right)
        value = self.constant(right)
        if value == "":
            return self.blank(sign, left)
        item = next(one for one in self.items.values() if one.name == left.name)
        if item.kind == "code":
            return _coded(sign, left, str(value), item)
        if item.kind in ("number", "integer"):
            found: Expression = Binary(sign, left, Literal(_number(value, item)))
        else:
            found = Binary(sign, left, Literal(str(value)))
        # a blank is unequal to whatever is asked for
        return found if sign != "!=" else Binary("or", Unary("not", IsPresent(left)), found)

    @staticmethod
    def constant(value: Literal | Unary) -> Decimal | str:
        if isinstance(value, Unary):
            inner = value.operand
            if value.operator != "negative" or not isinstance(inner, Literal) or not isinstance(inner.value, Decimal):
                raise NotExpressible("a minus stands before what is no number")
            return -inner.value
        if isinstance(value.value, bool):
            raise NotExpressible("it compares with true or false")
        return value.value

    @staticmethod
    def blank(sign: str, name: Name) -> Expression:
        if sign not in ("=", "!="):
            raise NotExpressible(f"it asks whether '{name}' is more or less than nothing")
        there = IsPresent(name)
        return there if sign == "!=" else Unary("not", there)


def _asks(expression: Expression) -> bool:
    """Whether an expression is a condition, and not a value."""
    if isinstance(expression, Binary):
        return expression.operator in ("and", "or", *TURNED)
    return isinstance(expression, In | IsPresent) or (isinstance(expression, Unary) and expression.operator == "not")


def _number(value: Decimal | str, item: Item) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise NotExpressible(f"it compares the number '{item.name}' with '{value}'") from None


def _coded(sign: str, name: Name, value: str, item: Item) -> Expression:
    """A comparison with a code: by equality with one, by order with all that it means."""
    codes = [code for code, _ in item.choices]
    if sign in ORDER:
        try:
            chosen = [code for code in codes if ORDER[sign](Decimal(code), Decimal(value))]
        except InvalidOperation:
            raise NotExpressible(f"it asks for the order of codes of '{item.name}' that are no numbers") from None
        if not chosen:
            raise NotExpressible(f"no code of '{item.name}' is {sign} {value}, so it can never be true")
        options = tuple(Literal(code) for code in chosen)
        return In(name, options) if len(options) > 1 else Binary("=", name, options[0])
    if value not in codes:
        raise NotExpressible(f"'{value}' is no code of '{item.name}'")
    same = Binary("=", name, Literal(value))
    return same if sign == "=" else Binary("or", Unary("not", IsPresent(name)), Binary("!=", name, Literal(value)))
