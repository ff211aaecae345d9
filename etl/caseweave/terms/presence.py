"""Which codes mean yes, no and unknown."""

from __future__ import annotations

from pathlib import Path

from caseweave.assets import data_path
from caseweave.errors import MappingError
from caseweave.spec.evaluate import Presence
from caseweave.spec.yamlfile import Seq, read_yaml
from caseweave.values.types import Coding

PRESENCE_FILE = "presence.yaml"
ANSWERS = ("yes", "no", "unknown")


def presence(path: Path | None = None) -> Presence:
    """Read the list.

    >>> Coding("SCT", "373066001") in presence().yes
    True

    Arguments: `path`, another file of the same form. Raises MappingError where a code isn't written SYSTEM|code, or
    means two things.
    """
    path = path or data_path("vocabularies") / PRESENCE_FILE
    tree, _ = read_yaml(path, path.name)
    meanings: dict[Coding, str] = {}
    for answer in tree:
        codes = tree[answer]
        if answer not in ANSWERS or not isinstance(codes, Seq):
            raise MappingError(
                path.name,
                tree.at(answer),
                f"'{answer}' isn't a list of codes",
                way_out=f"Valid here: {', '.join(ANSWERS)}.",
            )
        for place, text in enumerate(codes):
            system, bar, code = str(text).partition("|")
            if not (system and bar and code):
                raise MappingError(path.name, codes.at(place), f"{text!r} isn't a code", way_out="Write SYSTEM|code.")
            if meanings.setdefault(Coding(system, code), answer) != answer:
                raise MappingError(
                    path.name,
                    codes.at(place),
                    f"{text} means two things",
                    way_out="Keep it under one answer.",
                )
    return Presence(**{answer: frozenset(one for one in meanings if meanings[one] == answer) for answer in ANSWERS})
