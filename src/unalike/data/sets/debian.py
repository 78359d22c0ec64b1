"""Debian's packages, as apt knows them: descriptions, translations, sections, tags and dependencies.

The index is what the machine's apt is set up for, so it is checked by Debian's signatures and not by a sum, and its
counts differ a little from one point release to the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unalike.data.collection import Collection
from unalike.data.sets.stored import columns_of, groups_of, label_of, locale_of, splits_of, write_rows
from unalike.errors import DataError

TABLES = {"debian": {"links": "links.parquet"}}
RELATIONS = ("Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances")


@dataclass(frozen=True)
class Release:
    prefix: str
    version: str
    codename: str


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    lists = sources[0]
    release = _release(lists)
    packages = {
        stanza["Package"]: stanza
        for path in sorted(lists.glob(f"{release.prefix}_main_binary-*_Packages"))
        for stanza in stanzas(path)
    }
    texts = _translations(lists, release)
    packages = {package: packages[package] for package in sorted(packages)}
    columns: dict[str, pa.Array | Sequence] = {
        "id": list(packages),
        "section": [stanza.get("Section") for stanza in packages.values()],
        "tags": [" ".join(stanza.get("Tag", "").split()) or None for stanza in packages.values()],
        "homepage": [stanza.get("Homepage") for stanza in packages.values()],
    }
    digests = [stanza.get("Description-md5") for stanza in packages.values()]
    for locale, described in sorted(texts.items()):
        pairs = [described.get(digest or "", ("", "")) for digest in digests]
        columns[f"text:{locale}"] = [synopsis or None for synopsis, _ in pairs]
        columns[f"text:{locale}-body"] = [body or None for _, body in pairs]
    built_from = [stanza.get("Source", package).split()[0] for package, stanza in packages.items()]
    groups = np.unique(built_from, return_inverse=True)[1]
    labels = np.unique([str(section) for section in columns["section"]], return_inverse=True)[1]
    write_rows(made / "rows.parquet", columns, groups=groups, labels=labels)
    pq.write_table(_links(packages), made / "links.parquet", compression="zstd")
    stated = {"version": release.version, "codename": release.codename}
    (made / "release.json").write_text(json.dumps(stated), encoding="utf-8")


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    release = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    return Collection(
        columns_of(table) | {"label": label_of(table, "section")},
        name=name,
        ids=table["id"].to_pylist(),
        splits=splits_of(table),
        groups=groups_of(table),
        notes=[f"Made from the index of Debian {release['version']} ({release['codename']})."],
    )


def stanzas(path: Path) -> Iterator[dict[str, str]]:
    """The stanzas of a control file, each as fields; a field's further lines keep their first blank."""
    fields: dict[str, str] = {}
    field = ""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line == "\n":
                if fields:
                    yield fields
                fields = {}
            elif line[0] in " \t":
                fields[field] += f"\n{line.rstrip()}"
            else:
                field, _, value = line.partition(":")
                fields[field] = value.strip()
    if fields:
        yield fields


def _release(lists: Path) -> Release:
    """The release of Debian among the lists; not its updates, nor what others offer."""
    found = []
    for path in sorted(lists.glob("*_InRelease")):
        head = next(fields for fields in stanzas(path) if "Hash" not in fields)
        codename = head.get("Codename", "")
        if head.get("Origin") == head.get("Label") == "Debian" and "-" not in codename:
            found.append(Release(path.name.removesuffix("_InRelease"), head.get("Version", "unstable"), codename))
    if not found:
        raise DataError("apt on this machine offers no release of Debian, whose index this set is made of")
    return found[0]


def _translations(lists: Path, release: Release) -> dict[str, dict[str, tuple[str, str]]]:
    """By locale and digest of the English text: synopsis and body."""
    texts: dict[str, dict[str, tuple[str, str]]] = {}
    for path in sorted(lists.glob(f"{release.prefix}_main_i18n_Translation-*")):
        code = unquote(path.name.rsplit("Translation-", 1)[1])
        texts[locale_of(code)] = {
            stanza["Description-md5"]: _described(stanza.get(f"Description-{code}", "")) for stanza in stanzas(path)
        }
    return texts


def _described(text: str) -> tuple[str, str]:
    synopsis, *lines = text.split("\n")
    # A lone point stands for an empty line.
    return synopsis, "\n".join("" if line.strip() == "." else line.strip() for line in lines)


def _links(packages: dict[str, dict[str, str]]) -> pa.Table:
    """Relations between packages that exist, by row number; of alternatives each counts."""
    row = {package: number for number, package in enumerate(packages)}
    links = {
        (relation.lower(), row[package], row[other])
        for package, stanza in packages.items()
        for relation in RELATIONS
        for other in re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", stanza.get(relation, ""))
        if other in row
    }
    kinds, sources, targets = zip(*sorted(links), strict=True)
    return pa.table(
        {
            "kind": pa.array(kinds).dictionary_encode(),
            "source": pa.array(sources, pa.int32()),
            "target": pa.array(targets, pa.int32()),
        }
    )
