"""Build the embedded WordNet set out of Debian's package wordnet-base: python scripts/build_wordnet.py

Downloads through apt, checks the SHA-256 sum, and writes ``wordnet.parquet`` (synsets) and ``wordnet-links.parquet``
(pointers between them) under ``src/unalike/data/embedded``, and what was counted into
``src/unalike/data/cards/wordnet.json``. The format of the source is described in its manual page wndb(5WN).
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from embedding import open_sources, write_set
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from unalike.data.splits import make_splits

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}

# wninput(5WN). A backslash means another thing for adverbs than for adjectives; both lead to what is pertained to.
POINTERS = {
    "!": "antonym",
    "@": "hypernym",
    "@i": "instance hypernym",
    "~": "hyponym",
    "~i": "instance hyponym",
    "#m": "member holonym",
    "#s": "substance holonym",
    "#p": "part holonym",
    "%m": "member meronym",
    "%s": "substance meronym",
    "%p": "part meronym",
    "=": "attribute",
    "+": "derivation",
    "*": "entailment",
    ">": "cause",
    "^": "also see",
    "$": "verb group",
    "&": "similar to",
    "<": "participle of",
    "\\": "pertains to",
    ";c": "topic of",
    ";r": "region of",
    ";u": "usage of",
    "-c": "topic member",
    "-r": "region member",
    "-u": "usage member",
}
MIRRORED = {"~", "~i", "%m", "%s", "%p", "-c", "-r", "-u"}
"""Pointers that say backwards what others say forwards."""

TIES = ("antonym", "similar to", "verb group")
"""Links that hold a group together."""


@dataclass(frozen=True)
class Synset:
    id: str
    lexname: int
    lemmas: list[str]
    pointers: list[tuple[str, str, int, int]]
    """symbol, id of the target, number of the word it starts from and of the one it leads to; 0 for the synset"""
    definition: str
    examples: list[str]


def parse(line: str, letter: str) -> Synset:
    fields, _, gloss = line.partition(" | ")
    words = fields.split(" ")
    count = int(words[3], 16)
    # Adjectives carry where they may stand, such as galore(ip).
    lemmas = [re.sub(r"\((a|p|ip)\)$", "", word).replace("_", " ") for word in words[4 : 4 + 2 * count : 2]]
    start = 4 + 2 * count
    pointers = []
    for position in range(start + 1, start + 1 + 4 * int(words[start]), 4):
        symbol, offset, part, ends = words[position : position + 4]
        pointers.append((symbol, f"{part}{offset}", int(ends[:2], 16), int(ends[2:], 16)))
    definition, *quoted = re.split(r'[;:]\s*"', gloss.strip(), maxsplit=1)
    examples = [found for rest in quoted for found in re.findall(r'"\s*([^"]*\w[^"]*?)\s*"', '"' + rest)]
    return Synset(f"{letter}{words[0]}", int(words[1]), lemmas, pointers, definition.strip(" ;"), examples)


def read(source: Path) -> tuple[list[Synset], list[str]]:
    """Every synset, and the names of the lexicographer files by number."""
    synsets = []
    for letter, part in FILES.items():
        with (source / f"usr/share/wordnet/data.{part}").open(encoding="utf-8") as file:
            synsets += [parse(line, letter) for line in file if not line.startswith("  ")]  # two blanks: the licence
    with gzip.open(source / "usr/share/man/man5/lexnames.5WN.gz", "rt", encoding="utf-8") as file:
        named = dict(re.findall(r"^(\d\d)\t(\S+)", file.read(), flags=re.MULTILINE))
    return synsets, [named[f"{number:02}"] for number in range(len(named))]


def main() -> None:
    with open_sources("wordnet") as (source,):
        synsets, lexnames = read(source)
    row = {synset.id: number for number, synset in enumerate(synsets)}
    links = [
        (POINTERS[symbol], row[synset.id], row[target.replace("s", "a")], first, second)
        for synset in synsets
        for symbol, target, first, second in synset.pointers
        if symbol not in MIRRORED
    ]
    links.sort()
    kinds, source_rows, target_rows, source_words, target_words = zip(*links, strict=True)

    equal: dict[str, int] = {}
    ties = [(a, b) for kind, a, b, _, _ in links if kind in TIES]
    ties += [(number, equal.setdefault(synset.definition, number)) for number, synset in enumerate(synsets)]
    a, b = np.array(ties).T
    groups = connected_components(coo_matrix((np.ones(len(ties)), (a, b)), shape=(len(synsets),) * 2))[1]
    codes = np.array([synset.lexname for synset in synsets])
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    splits = make_splits(len(synsets), fractions=fractions, groups=groups, labels=codes)
    split = np.empty(len(synsets), object)
    for name, chosen in splits.items():
        split[chosen] = name

    table = pa.table(
        {
            "id": [synset.id for synset in synsets],
            "definition": [synset.definition for synset in synsets],
            "lemmas": [synset.lemmas for synset in synsets],
            "examples": [synset.examples for synset in synsets],
            "lexname": pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(lexnames)),
            "group": pa.array(groups, pa.int32()),
            "split": pa.array(list(split)).dictionary_encode(),
        }
    )
    pointers = pa.table(
        {
            "kind": pa.array(kinds).dictionary_encode(),
            "source": pa.array(source_rows, pa.int32()),
            "target": pa.array(target_rows, pa.int32()),
            "source_word": pa.array(source_words, pa.int16()),
            "target_word": pa.array(target_words, pa.int16()),
        }
    )
    counted = np.unique(np.array(kinds), return_counts=True)
    write_set(
        "wordnet",
        {"wordnet.parquet": table, "wordnet-links.parquet": pointers},
        counts={
            "rows": len(synsets),
            "words": sum(len(synset.lemmas) for synset in synsets),
            "with an example": sum(bool(synset.examples) for synset in synsets),
            "classes": len(lexnames),
            "groups": int(groups.max()) + 1,
            **{f"links: {kind}": int(count) for kind, count in zip(*counted, strict=True)},
        },
        splits={name: len(chosen) for name, chosen in splits.items()},
    )


if __name__ == "__main__":
    main()
