"""Conditions of REDCap and EuCanImage in the expression language: what they become, and what is refused by name."""

from __future__ import annotations

import pytest

from caseweave.importers.conditions import NotExpressible, translate
from caseweave.importers.draft import Item
from caseweave.spec.expression import parse

YESNO = (("1", "Yes"), ("0", "No"))
ITEMS = {
    one.name: one
    for one in (
        Item("drug", "code", "", choices=tuple((str(n), f"drug {n}") for n in range(4))),
        Item("stage", "code", "", choices=(("I", "I"), ("II", "II"))),
        Item("age", "integer", ""),
        Item("dose", "number", ""),
        Item("seen", "date", ""),
        Item("site", "text", ""),
        Item("note", "text", "", ignore="free text"),
        Item("race___1", "code", "", choices=YESNO, box=("race", "1")),
        Item("race___2", "code", "", choices=YESNO, box=("race", "2")),
    )
}


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("[drug] = '1'", 'drug = "1"'),
        ("[drug]=1", 'drug = "1"'),
        ("'1' = [drug]", 'drug = "1"'),
        ("[drug] <> '1'", 'not drug is present or drug != "1"'),
        ("[drug] <= 2", 'drug in ("0", "1", "2")'),
        ("2 <= [drug]", 'drug in ("2", "3")'),
        ("[drug] > '2'", 'drug = "3"'),
        ("[drug] <> ''", "drug is present"),
        ('[drug] <> ""', "drug is present"),
        ("[drug] = ''", "not drug is present"),
        ("[age] >= '18' AND [age] < 65", "age >= 18 and age < 65"),
        ("[age] > -1", "age > -1"),
        ("[seen] > '2020-01-31'", 'seen > "2020-01-31"'),
        ('[site] = "Mama\'s"', 'site = "Mama\'s"'),
        ("[race(2)] = '1'", 'race___2 = "1"'),
        ("[race___1] = '1'", 'race___1 = "1"'),
        ("([dose] + 1) * 2 > [age]", "(dose + 1) * 2 > age"),
        ("not ([drug] = '1' or [drug] = '2')", 'not (drug = "1" or drug = "2")'),
        ("[drug] = '1' or [drug] = '2' and [age] > 3", 'drug = "1" or drug = "2" and age > 3'),
        ("(([drug]<>'' AND [drug]<2) OR ([age]<>''))", 'drug is present and drug in ("0", "1") or age is present'),
        ("((((([age] > 3)))))", "age > 3"),
        ("[ drug ]  =\n'1'", 'drug = "1"'),
    ],
)
def test_a_condition_is_translated_and_reads_back(source: str, made: str) -> None:
    found = str(translate(source, ITEMS))
    assert found == made
    assert str(parse(found, "rules.yaml", 1)) == made


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('[drug] <> "', "a quote is opened and not closed"),
        ("", "it is empty"),
        ("[drug]", "a value stands alone"),
        ("([drug]) and [age] > 3", "a value stands alone"),
        ("[drug] =", "it ends where a value is expected"),
        ("([drug] = '1'", "a bracket is not closed"),
        ("[drug] = '1' )", "')' stands where nothing more is expected"),
        ("[drug] = '9'", "'9' is no code of 'drug'"),
        ("[drug] > 3", "it can never be true"),
        ("[stage] < 'II'", "order of codes of 'stage' that are no numbers"),
        ("[other] = '1'", "'other', which isn't there"),
        ("[note] = 'x'", "which is not read: free text"),
        ("[race] = '1'", "it must say which box"),
        ("[race(7)] = '1'", "'race(7)', which isn't there"),
        ("[drug(1)] = '1'", "which is no checkbox"),
        ("[baseline][drug] = '1'", "another event or instance"),
        ('datediff([seen],"today","d") > 3', "the function datediff() has no counterpart"),
        ("[age] = 'many'", "compares the number 'age' with 'many'"),
        ("[age] < ''", "more or less than nothing"),
        ("[drug] ~ 1", "'~' means nothing here"),
        ("(" * 60 + "[age] > 3" + ")" * 60, "nested too deeply"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(source: str, reason: str) -> None:
    with pytest.raises(NotExpressible) as caught:
        translate(source, ITEMS)
    assert reason in str(caught.value)
