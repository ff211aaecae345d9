"""Who a patient is outside the hospital: a pseudonym, from a resolver that forms and images share."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from caseweave.errors import UsageError
from caseweave.identity.keyfile import ProjectKey

PSEUDONYM_LENGTH = 26  # base32 characters: 130 bits
# What fits FHIR identifiers, OMOP's person_source_value varchar(50) and a DICOM Patient ID alike. A
# resource's id is a fact id, never the pseudonym, so that '_', which FHIR ids exclude and TCIA's ids have,
# may stand here.
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,50}")


class SubjectError(UsageError):
    """A patient id can't serve as a pseudonym; the message never repeats the id, which may name a person."""


class SubjectResolver(Protocol):
    """Turns a site's patient id into the pseudonym that outputs hold.

    The same arguments always give the same pseudonym, and two patients never share one.
    """

    def resolve(self, site: str, patient_id: str) -> str:
        """Return the pseudonym. Raises SubjectError where there can be none."""
        ...


class DateShift(Protocol):
    """Says by how many days the dates of one subject move, the same for form and images."""

    def days(self, subject: str) -> int:
        """Return the shift of a subject, given its pseudonym."""
        ...


class KeyedResolver:
    """Pseudonyms by keyed hash: whoever lacks the key can neither make nor test one.

    The function is HMAC-SHA-512 cut to its first 256 bits (HMAC-SHA-512-256 of RFC 4868); 130 of them are
    written. SHA-512/256, the variant with its own start values, isn't in every OpenSSL, and a pseudonym must
    not depend on the machine. The message is project, site and patient id as netstrings (length in
    characters, colon, text): no two triples share one.

    >>> KeyedResolver(ProjectKey("breast", bytes(32))).resolve("AA", "00001")
    'tnb6t7z75hcq72scpezqr27nks'

    Arguments: `key`, the project's. Raises SubjectError from `resolve` for an empty patient id.
    """

    def __init__(self, key: ProjectKey) -> None:
        self._project = key.project
        self._start = hmac.new(key.subkey("subject"), digestmod=hashlib.sha512)

    def resolve(self, site: str, patient_id: str) -> str:
        """Return the pseudonym of a patient, 26 lower-case base32 characters."""
        if not patient_id:
            raise SubjectError("A row holds no patient id.", way_out="Fill it in.")
        message = self._start.copy()
        message.update(netstrings(self._project, site, patient_id))
        return base64.b32encode(message.digest()[:32]).decode("ascii").lower()[:PSEUDONYM_LENGTH]


@dataclass(frozen=True, slots=True)
class GivenResolver:
    """For studies whose ids are pseudonyms already (`subject: given`), unique whatever the site.

    >>> GivenResolver().resolve("", "HCC_001")
    'HCC_001'

    Raises SubjectError from `resolve` for anything but 1 to 50 letters, digits, '.', '_' and '-'.
    """

    def resolve(self, site: str, patient_id: str) -> str:
        """Return the id itself."""
        if not _GIVEN.fullmatch(patient_id):
            raise SubjectError(
                "A patient id is no pseudonym: it isn't 1 to 50 of letters, digits, '.', '_' and '-'.",
                way_out="Correct it, or let Caseweave make the pseudonyms with `subject: keyed`.",
            )
        return patient_id


@dataclass(frozen=True, slots=True)
class MergedResolver:
    """Lets patients who were found to be another one be that one.

    >>> MergedResolver(GivenResolver(), {"HCC_001": "HCC_002"}).resolve("", "HCC_001")
    'HCC_002'

    Arguments: `resolver` of everybody; `merged`, pseudonyms that are no longer used and those that stand for them.
    Raises SubjectError where `resolver` does.
    """

    resolver: SubjectResolver
    merged: Mapping[str, str]

    def resolve(self, site: str, patient_id: str) -> str:
        """Return the pseudonym of the patient that this one is."""
        name = self.resolver.resolve(site, patient_id)
        return self.merged.get(name, name)

    def stands_for_another(self, site: str, patient_id: str) -> bool:
        """Whether an id is one that was merged away. Raises SubjectError where `resolver` does."""
        return self.resolver.resolve(site, patient_id) in self.merged


@dataclass(frozen=True, slots=True)
class FixedShift:
    """The same shift for everybody; 0 days, the default, leaves dates as they are.

    >>> FixedShift().days("any")
    0
    """

    amount: int = field(default=0)

    def days(self, subject: str) -> int:
        """Return the one shift."""
        return self.amount


def netstrings(*parts: str) -> bytes:
    """Join texts so that they can be told apart again: lists that differ never give the same bytes.

    >>> netstrings("ab", "c") == netstrings("a", "bc")
    False
    """
    # surrogatepass: a damaged file can hold lone surrogates, and an id of them is still an id
    return "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")
