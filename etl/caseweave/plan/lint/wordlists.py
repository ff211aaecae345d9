"""The words that carry the meaning in oncology, as they are written in labels and displays."""

from __future__ import annotations

import re

AUTHORITIES = re.compile(
    r"american joint committee on cancer|union for international cancer control|ajcc/uicc|\bajcc\b|\buicc\b"
)
SEMANTIC_TAG = re.compile(
    r"\s*\((?:qualifier value|finding|disorder|body structure|morphologic abnormality|procedure"
    r"|observable entity|substance|product|situation|staging scale|tumor staging)\)"
)
TNM = re.compile(
    r"(?<![a-z0-9])(?P<prefix>yp|yc|y|c|p|clinical |pathological |pathologic )?(?P<letter>[tnm])"
    r"(?P<value>x|is ?\(?(?:dcis|lcis|paget)?\)?|0|[1-4](?:mi|[a-d])?)(?![a-z0-9])"
)
PREFIXES = {"clinical ": "c", "pathological ": "p", "pathologic ": "p"}
TNM_FIELD = re.compile(r"(?<![a-z0-9])(yp|yc|c|p)[_ ]?([tnm])(?![a-z0-9])")
LEVEL_WORD = r"(?:grade|gleason|score|class|stage|level|category|group|isup|bi-?rads|ecog|rcb)"
LEVEL = re.compile(rf"(?<![a-z]){LEVEL_WORD}[ :-]*(?:g|grade|score|group)?[ -]*([0-9x]|iv|i{{1,3}}|[a-e])(?![a-z0-9.])")
GRADE = re.compile(r"(?<![a-z0-9])g([0-5x])(?![a-z0-9])")
BARE = re.compile(r"(?:g|grade)?\s*([0-9x]|iv|i{1,3}|[a-e])\s*\+?")
PLUS = re.compile(r"(?<![0-9])([0-3]) ?\+")
ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}

NEGATIVE = re.compile(
    r"\b(?:not?[- ](?!otherwise|specified|elsewhere)[a-z]+|undetected|negative|absent|none|no|without"
    r"|never|refuted|free)\b"
)
POSITIVE = re.compile(r"\b(?:positive|present|yes|detected|identified|performed|done|confirmed)\b")
UNKNOWN = re.compile(
    r"\b(?:unknown|indeterminate|undetermined|uncertain|not (?:known|recorded|reported|available|applicable))\b"
)

# class -> word of the class -> how it is written; two texts that name different words of a class contradict each other
CLASSES: dict[str, dict[str, str]] = {
    "side": {
        "left": r"\bleft\b|\bizquierd",
        "right": r"\bright\b|\bderech",
        "both": r"\bbilateral|\bboth sides",
        "midline": r"\bmidline",
    },
    "sex": {"female": r"\bfemale\b|\bwoman\b|\bgirl\b", "male": r"\bmale\b|\bman\b|\bboy\b"},
    "life": {"dead": r"\bdead\b|\bdeath\b|\bdeceased\b|\bdied\b", "alive": r"\balive\b|\bliving\b"},
    "invasion": {
        "in situ": r"\bin[- ]situ\b|\b[dl]cis\b|\bnoninfiltrating|\bnon-?invasive\b|\bintraductal",
        "invasive": r"(?<!non)(?<!non-)\binvasive\b|(?<!non)(?<!non-)\binfiltrating\b",
    },
    "nature": {"benign": r"\bbenign\b", "malignant": r"\bmalignan|\bcancer|carcinoma\b|\bsarcoma|\blymphoma"},
    "origin": {"primary": r"\bprimary\b", "secondary": r"\bsecondary\b|\bmetasta"},
    "menopause": {
        "pre": r"\bpre-?menopaus|\bbefore menopaus",
        "peri": r"\bperi-?menopaus",
        "post": r"\bpost-?menopaus|\bafter menopaus",
    },
    "height": {"low": r"\blow\b", "intermediate": r"\bintermediate\b", "high": r"\bhigh\b"},
    "differentiation": {
        "well": r"\bwell[- ]diff",
        "moderate": r"\bmoderately[- ]diff",
        "poor": r"\bpoorly[- ]diff",
        "none": r"\bundifferentiated|\banaplastic",
    },
    "intent": {
        "neoadjuvant": r"\bneo-?adjuvant",
        "adjuvant": r"(?<!neo)(?<!neo-)\badjuvant",
        "palliative": r"\bpalliative",
        "curative": r"\bcurative",
    },
}
MARKERS = {
    "er": r"\ber\b|\bo?estrogen receptor",
    "pr": r"\bpr\b|\bpgr\b|\bprogesterone receptor",
    "her2": r"\bher-?2|\berbb2",
    "ki67": r"\bki-? ?67",
    "brca1": r"\bbrca1",
    "brca2": r"\bbrca2",
    "palb2": r"\bpalb2",
    "chek2": r"\bchek2",
    "psa": r"\bpsa\b|\bprostate specific",
    "afp": r"\bafp\b|\bfetoprotein",
    "cea": r"\bcea\b|\bcarcinoembryonic",
    "hbv": r"\bhep(?:atitis)? ?b\b",
    "hcv": r"\bhep(?:atitis)? ?c\b",
    "pdl1": r"\bpd-?l1",
    "egfr": r"\begfr",
    "kras": r"\bkras",
}
HISTOLOGIES = {"ductal": r"\bduct(?:al)?\b|\bintraductal\b|\bdcis\b", "lobular": r"\blobular\b|\blcis\b"}
TYPES = {
    "adeno": r"adenocarcinoma",
    "mucinous": r"\bmucinous",
    "signet": r"\bsignet",
    "neuroendocrine": r"neuroendocrine",
    "squamous": r"\bsquamous",
    "medullary": r"\bmedullary",
    "sarcoma": r"\w*sarcoma",
    "lymphoma": r"lymphoma",
}
THAN = re.compile(r"(?:other|types?)[a-z ]* than [a-z]+")

STOPWORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "is",
        "nos",
        "of",
        "on",
        "or",
        "other",
        "the",
        "to",
        "with",
        "without",
        "type",
        "disease",
        "disorder",
        "finding",
        "structure",
        "value",
        "status",
        "patient",
        "cancer",
        "carcinoma",
        "tumor",
        "tumour",
        "neoplasm",
        "malignant",
        "category",
        "tnm",
        "specimen",
        "presence",
        "present",
        "score",
        "entire",
        "where",
        "whose",
    ]
)
