"""The sets whose parts tell something only together: three-names from stamps made here, and the simulated xor."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unalike.data import Collection, ImageColumn, TextColumn, is_fetched, open_set
from unalike.data.media import AudioColumn
from unalike.data.sets import three_names, xor
from unalike.errors import SettingsError

LANGUAGES = three_names.LANGUAGES
ROWS = {"train": 90, "validation": 30, "test": 60}


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (20, 10), (*colour, 255)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def stamps(tmp_path: Path) -> Collection:
    """60 stamps in groups of two; one recording of each language is that of stamps in two splits."""
    (tmp_path / "voices").mkdir()
    voices: dict[str, list[str | None]] = {language: [] for language in LANGUAGES}
    for language in LANGUAGES:
        for stamp in range(60):
            path = tmp_path / "voices" / f"{language}{stamp}.ogg"
            path.write_bytes(f"{language} {0 if stamp == 1 else stamp}".encode())
            voices[language].append(None if stamp % 10 == 9 else path.name)
    captions = {language: [f"{language} {stamp // 2}" for stamp in range(60)] for language in LANGUAGES}
    for language in LANGUAGES[:2]:
        captions[language][4] = "the same in both"
    return Collection(
        {
            "image": ImageColumn([None if stamp == 7 else png((4 * stamp, 0, 100)) for stamp in range(60)]),
            **{f"text:{language}": TextColumn(captions[language]) for language in LANGUAGES},
            **{f"audio:{language}": AudioColumn(voices[language], root=tmp_path / "voices") for language in LANGUAGES},
        },
        name="tuxpaint",
        ids=[f"s/{stamp:02}" for stamp in range(60)],
        splits={split: np.flatnonzero(np.arange(60) // 2 % 3 == part) for part, split in enumerate(ROWS)},
        groups=np.arange(60) // 2,
    )


def test_three_names_tells_the_picture_by_names_and_voice_together(stamps: Collection, tmp_path: Path) -> None:
    most = dict.fromkeys(ROWS, 12)
    for made in ("one", "two"):
        (tmp_path / made).mkdir()
        three_names.render(stamps, tmp_path / made, ROWS, most)
    assert (tmp_path / "one/rows.parquet").read_bytes() == (tmp_path / "two/rows.parquet").read_bytes()
    made = three_names.open_set("three-names", tmp_path / "one")
    assert {split: len(rows) for split, rows in made.splits.items()} == ROWS
    number = {id: place for place, id in enumerate(stamps.ids)}
    for row in range(len(made)):
        content = made.row(row)
        among = [number[content[f"label:among-{language}"]] for language in LANGUAGES]
        shown, spoken = number[content["label"]], number[content["label:spoken"]]
        assert content["text"] == " ".join(
            str(stamps[f"text:{language}"][stamp]) for language, stamp in zip(LANGUAGES, among, strict=True)
        )
        assert among[LANGUAGES.index(content["label:language"])] == shown
        assert len({stamp // 2 for stamp in (*among, spoken)}) == 4, "a voice that says one of the names tells too much"
        assert content["audio"].read_bytes().startswith(content["label:language"].encode())
        assert np.asarray(content["image"])[16, 16].tolist() == [4 * shown, 0, 100]
        assert np.asarray(content["image"])[0, 0].tolist() == [255] * 3
        assert not {4, 7} & set(among), "without a picture, or named alike in two languages"
    for rows in made.splits.values():
        counts = np.bincount(made["label:language"].codes[rows])  # type: ignore[attr-defined]
        assert len(set(counts.tolist())) == 1, "each language is spoken equally often"


def parts_of(collection: Collection, split: str) -> tuple[set[str], set[bytes]]:
    """The stamps that are named, and the recordings by content."""
    rows = collection.splits[split]
    named = {str(collection[f"label:among-{language}"][int(row)]) for row in rows for language in LANGUAGES}
    files = {collection["audio"][int(row)] for row in rows}
    return named, {path.read_bytes() for path in files}


def test_no_stamp_and_no_recording_crosses_splits(stamps: Collection, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    three_names.render(stamps, tmp_path / "made", ROWS, dict.fromkeys(ROWS, 20))
    collections = [three_names.open_set("three-names", tmp_path / "made")]
    if is_fetched("three-names"):
        collections.append(open_set("three-names"))
    for collection in collections:
        found = [parts_of(collection, split) for split in ROWS]
        for one in range(3):
            for other in range(one):
                assert not found[one][0] & found[other][0]
                assert not found[one][1] & found[other][1]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xor")
    xor.convert("xor", [], folder)
    return folder


def test_of_an_exclusive_or_two_parts_tell_nothing_and_three_everything(simulated: Path) -> None:
    made = xor.open_set("xor", simulated)
    a, b, c = (made[kind].values.reshape(len(made), -1) for kind in ("points", "array", "series"))  # type: ignore
    assert (((a + b) % 2) == c).all()
    numbers = [each @ (2 ** np.arange(xor.BITS)) for each in (a, b, c)]
    for one in range(3):
        for other in range(one):
            table = np.zeros((32, 32))
            np.add.at(table, (numbers[one].astype(int), numbers[other].astype(int)), 1)
            expected = len(made) / 1024
            assert ((table - expected) ** 2).sum() / expected < 1024 + 5 * np.sqrt(2 * 1024)
    assert made["label"][3] == "".join(str(int(bit)) for bit in b[3])


def test_the_share_of_exclusive_ors(simulated: Path) -> None:
    for told in ("0", "0.6", "1"):
        made = xor.open_set("xor", simulated, told)
        a, b, c = (made[kind].values.reshape(len(made), -1) for kind in ("points", "array", "series"))  # type: ignore
        plain = (a == c).all(1)
        assert np.mean(plain) == pytest.approx(1 - float(told) * 31 / 32, abs=0.02)
        assert (((a + b) % 2 == c).all(1) | plain).all()
    for wrong in ("2", "half", "nan"):
        with pytest.raises(SettingsError, match="probability from 0 to 1"):
            xor.open_set("xor", simulated, wrong)
