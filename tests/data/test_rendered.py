"""Rendered sets, each from a few pictures made here; nothing is downloaded."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFont
from scipy.stats import chi2_contingency

from unalike.data import Collection, ImageColumn, LabelColumn, catalogue, fetch, is_fetched, open_set
from unalike.data.catalogue import CATALOGUE, SetRecord, find_record
from unalike.data.columns import ArrayColumn
from unalike.data.sets import clutter, glyph, mnist, pasted
from unalike.data.sets.drawing import Draws, crop, fitted, paste, shape_of
from unalike.data.sets.pixels import write_pixels
from unalike.errors import DataError

ROWS = {"train": 60, "validation": 6, "test": 12}


def strokes() -> tuple[np.ndarray, np.ndarray]:
    """300 bars of 28 x 28 pixels, whose class is their height, and whose width tells one from another."""
    pixels, codes = np.zeros((300, 28, 28), np.uint8), np.arange(300) % 10
    for row, code in enumerate(codes):
        pixels[row, 4 : 7 + 2 * code, 4 : 6 + row // 10 % 20] = 255 - row // 10
    return pixels, codes


@pytest.fixture
def digits(tmp_path: Path) -> Collection:
    folder = tmp_path / "mnist"
    folder.mkdir()
    pixels, codes = strokes()
    write_pixels(folder, pixels, codes, [str(digit) for digit in range(10)], np.arange(len(pixels)))
    return mnist.open_set("mnist", folder)


@pytest.fixture
def photos() -> dict[str, list[tuple[str, Image.Image]]]:
    """Two photos a split, each of one colour that no other photo has."""
    greys = {"train": (10, 40), "validation": (70, 100), "test": (130, 160)}
    return {
        split: [(f"grey{grey}", Image.new("RGB", (60, 40), (grey, grey, grey))) for grey in pair]
        for split, pair in greys.items()
    }


def made_of(name: str, digits: Collection, photos: dict, made: Path) -> Collection:
    made.mkdir(parents=True)
    clutter.render(name, digits, photos, made, ROWS)
    return clutter.open_set(name, made)


def array(collection: Collection, role: str) -> ArrayColumn:
    column = collection[role]
    assert isinstance(column, ArrayColumn)
    return column


def test_clutter_keeps_photos_and_digits_apart(digits: Collection, photos: dict, tmp_path: Path) -> None:
    collection = made_of("clutter", digits, photos, tmp_path / "made")
    assert {split: len(rows) for split, rows in collection.splits.items()} == ROWS
    corners = {}
    for split, rows in collection.splits.items():
        photo = {collection["label:photo"][int(row)] for row in rows}
        assert photo == {name for name, _ in photos[split]}
        pictures = np.stack([np.asarray(collection["image"][int(row)]) for row in rows])
        assert pictures.shape[1:] == (24, 24, 3)
        # Most of a picture is the photo, and the photo is of one colour.
        greys = {int(np.median(picture)) for picture in pictures}
        assert greys == {int(name.removeprefix("grey")) for name in photo}
        corners[split] = greys
        assert (np.ptp(pictures.reshape(len(rows), -1, 3), axis=1).max(1) > 40).all(), "every digit can be seen"
    assert collection.groups is not None and len(set(collection.groups)) == 6


def test_the_same_sources_give_the_same_pixels(digits: Collection, photos: dict, tmp_path: Path) -> None:
    first = made_of("clutter", digits, photos, tmp_path / "one")
    again = made_of("clutter", digits, photos, tmp_path / "two")
    assert first.fingerprint() == again.fingerprint()
    assert (tmp_path / "one/pixels.npy").read_bytes() == (tmp_path / "two/pixels.npy").read_bytes()
    # The first draws of one picture, so that a change of the generator does not go unnoticed.
    draws = Draws("clutter", 7)
    assert [round(draws.number(), 6) for _ in range(2)] == [0.355067, 0.146545]


def test_a_rendered_set_takes_each_digit_once_and_from_its_own_split(
    digits: Collection, photos: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[bytes] = []

    def noted(grey: np.ndarray) -> Image.Image:
        used.append(grey.tobytes())
        return shape_of(grey)

    monkeypatch.setattr(clutter, "shape_of", noted)
    made_of("clutter", digits, photos, tmp_path / "made")
    column = digits["image"]
    assert isinstance(column, ImageColumn)
    held = {
        split: {np.asarray(column.source(int(row))).tobytes() for row in rows} for split, rows in digits.splits.items()
    }
    start = 0
    for split, count in ROWS.items():
        assert set(used[start : start + count]) <= held[split]
        start += count
    assert len(used) == sum(ROWS.values())


def test_rotated_states_the_angle_by_which_each_shape_was_turned(
    digits: Collection, photos: dict, tmp_path: Path
) -> None:
    collection = made_of("rotated", digits, photos, tmp_path / "made")
    angles = array(collection, "array:angle").values
    assert angles.shape == (78, 1) and np.abs(angles).max() <= 45 and np.ptp(angles) > 70
    assert set(collection["label"].names) == set(clutter.WELL_POSED)  # type: ignore[attr-defined]
    # The axis of a turned bar, from its second moments.
    bar = Image.fromarray(np.full((20, 4), 255, np.uint8))
    for angle in (-40.0, -10.0, 0.0, 25.0):
        grey = np.asarray(clutter.turned(bar, angle), float)
        y, x = np.indices(grey.shape)
        x, y = (axis - (axis * grey).sum() / grey.sum() for axis in (x, -y))
        xx, yy, xy = ((a * b * grey).sum() for a, b in ((x, x), (y, y), (x, y)))
        found = np.degrees(np.arctan2(2 * xy, xx - yy)) / 2  # of the long axis, from the horizontal
        assert (found - 90 - angle + 90) % 180 - 90 == pytest.approx(0, abs=1.0)


def test_a_long_tail_is_a_sample_of_the_training_split_alone(digits: Collection, photos: dict, tmp_path: Path) -> None:
    whole = made_of("clutter", digits, photos, tmp_path / "made")
    tail = clutter.with_long_tail(whole, ratio=3)
    assert set(tail.ids) < set(whole.ids)
    for split in ("validation", "test"):
        assert [tail.ids[row] for row in tail.splits[split]] == [whole.ids[row] for row in whole.splits[split]]
    assert 0 < len(tail.splits["train"]) < len(whole.splits["train"])


def test_ink_stands_out_and_stays_inside() -> None:
    shape = Image.fromarray(np.full((9, 5), 255, np.uint8))
    for row in range(50):
        draws = Draws("paste", row)
        ground = np.full((24, 24, 3), Draws("ground", row).whole(256), np.uint8)
        made = paste(ground, shape, draws, contrast=70)
        rows, columns = np.nonzero((made != ground).any(2))
        assert np.ptp(rows) + 1 == 9 and np.ptp(columns) + 1 == 5
        inked = made[rows[0], columns[0]].astype(float) - ground[0, 0]
        assert abs(inked @ [0.299, 0.587, 0.114]) > 0.75 * 70 - 1


def test_crops_are_parts_of_the_photo() -> None:
    ramp = np.zeros((90, 120, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(120), np.arange(90)[:, None]
    widths = []
    for row in range(30):
        part = crop(Image.fromarray(ramp), 24, Draws(row))
        assert part.shape == (24, 24, 3)
        steps = np.diff(part[..., 0].astype(int), axis=1).mean(), np.diff(part[..., 1].astype(int), axis=0).mean()
        assert steps[0] == pytest.approx(steps[1], abs=0.1) and 0.9 < steps[0] < 3.8, "no part is stretched"
        widths.append(steps[0])
    assert np.ptp(widths) > 1.5


def test_shapes_are_cut_and_fitted() -> None:
    grey = np.zeros((28, 28), np.uint8)
    grey[3:23, 5:15] = 200
    shape = shape_of(grey)
    assert shape.size == (10, 20) and np.asarray(shape).min() == 200
    assert fitted(shape, 13.2).size == (7, 13)


@pytest.fixture
def beds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Collection, photos: dict) -> Path:
    """A catalogue in which clutter needs no archive and mnist is in the cache already."""
    monkeypatch.setenv("UNALIKE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/sets").mkdir(parents=True)
    record = replace(find_record("clutter"), archives=())
    source = replace(find_record("mnist"), archives=())
    kept = tuple(other for other in CATALOGUE if other.name not in (record.name, source.name))
    monkeypatch.setattr(catalogue, "CATALOGUE", (*kept, record, source))
    pixels, codes = strokes()
    names = [str(digit) for digit in range(10)]
    monkeypatch.setattr(
        mnist, "convert", lambda name, sources, made: write_pixels(made, pixels, codes, names, np.arange(len(pixels)))
    )
    monkeypatch.setattr(
        clutter,
        "convert",
        lambda name, sources, made: clutter.render(name, mnist.open_set("mnist", sources[0]), photos, made, ROWS),
    )
    return tmp_path / "cache/sets"


def test_a_rendered_set_brings_what_it_needs(beds: Path) -> None:
    with pytest.raises(DataError, match=r"clutter is not on this machine. Make it once: unalike data get clutter$"):
        open_set("clutter")
    said: list[str] = []
    fetch("clutter", progress=said.append)
    assert [line.split()[:2] for line in said] == [
        ["converting", "mnist"],
        ["mnist", "is"],
        ["rendering", "clutter"],
        ["clutter", "is"],
    ]
    assert sorted(path.name for path in beds.iterdir()) == ["clutter-1", "mnist-1"]
    assert len(open_set("clutter")) == sum(ROWS.values())


def test_a_set_that_is_stored_with_another_has_no_files_of_its_own(beds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"Make it once: unalike data get clutter-lt"):
        open_set("clutter-lt")
    monkeypatch.setattr(clutter, "with_long_tail", lambda collection: collection.select([0, 1]))
    assert fetch("clutter-lt") == beds / "clutter-1"
    assert is_fetched("clutter") and is_fetched("clutter-lt")
    assert (len(open_set("clutter-lt")), open_set("clutter-lt").name) == (2, "clutter-lt")


def test_what_a_rendered_set_takes_to_make() -> None:
    record, other = find_record("clutter"), find_record("clutter-lt")
    assert set(record.clients) == {"npm", "pip"} and set(other.clients) == {"npm", "pip"}
    assert record.size == other.size == find_record("mnist").size + record.archives[0].size


@pytest.mark.parametrize("record", [record for record in CATALOGUE if record.origin == "rendered"], ids=str)
def test_what_a_record_is_made_from_is_there(record: SetRecord) -> None:
    assert not (record.stored_with and (record.needs or record.archives))
    # Only what is simulated is made from nothing; the games are in a package that is imported.
    from_nothing = "simulated" in record.title or record.name == "games"
    assert record.stored_with or record.needs or record.archives or from_nothing
    for name in (*record.needs, *([record.stored_with] if record.stored_with else [])):
        assert find_record(name).module and not find_record(name).stored_with
    if record.stored_with and find_record(record.stored_with).origin == "rendered":
        assert find_record(record.stored_with).module == record.module


def test_labels_of_a_bed_are_columns(digits: Collection, photos: dict, tmp_path: Path) -> None:
    collection = made_of("clutter", digits, photos, tmp_path / "made")
    assert isinstance(collection.label, LabelColumn) and collection.label.names == [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters of glyph in fonts that matplotlib carries, one family each."""
    folder = tmp_path_factory.mktemp("glyph")
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    names = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono", "STIXGeneral")
    scripts = {"latin": "ABCDEFGHJKMnqz", "greek": "ΔΩΘΞ", "digit": "2579"}
    glyph.render({name: [fonts / f"{name}.ttf"] for name in names}, scripts, folder)
    return folder


def test_glyph_splits_by_font_and_by_character(glyphs: Path) -> None:
    collection, new = glyph.open_set("glyph", glyphs), glyph.open_set("glyph-new", glyphs)
    assert len(collection) == len(new) == 6 * 22 * glyph.LOOKS
    for other, role in ((collection, "label:family"), (new, "label")):
        held = [{other[role][int(row)] for row in rows} for rows in other.splits.values()]
        assert list(other.splits) == ["train", "validation", "test"] and all(held)
        assert sum(map(len, held)) == len(set.union(*held)), f"no {role} is in two splits"
    assert collection.splits["train"].tolist() != new.splits["train"].tolist()
    assert collection.label is not None and new.label is not None
    for rows in collection.splits.values():
        assert len(set(np.bincount(collection.label.codes[rows]))) == 1, "classes are of equal size"
    pictures = [glyph.open_set(name, glyphs)["image"].fingerprint() for name in ("glyph", "glyph-new")]
    assert pictures[0] == pictures[1]
    assert (
        collection["label:script"][collection.label.codes.tolist().index(collection.label.names.index("Ω"))] == "greek"
    )


def test_parts_of_glyph_keep_ids_and_pictures(glyphs: Path) -> None:
    whole, part = glyph.open_set("glyph", glyphs), glyph.open_set("glyph-24", glyphs)
    assert part.label is not None and set(part.label.names) == set("ABEGHKMnq25ΔΩ") < set(glyph.CHARACTERS_24)
    for row in (0, 17, len(part) - 1):
        assert whole.row(int(part.ids[row])) == part.row(row)
    for split, rows in part.splits.items():
        assert {int(part.ids[row]) for row in rows} <= set(whole.splits[split].tolist())


def test_a_character_is_drawn_whole_upright_and_in_its_own_size() -> None:
    font = ImageFont.truetype(
        Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 72, layout_engine=ImageFont.Layout.BASIC
    )
    sizes: dict[str, list[int]] = {"M": [], "i": [], "e": []}
    for character, found in sizes.items():
        for look in range(20):
            picture = glyph.drawn(font, character, Draws(character, look)).astype(int)
            border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert picture.shape == (24, 24) and len(set(border)) == 1, "nothing is cut off"
            assert np.abs(picture - border[0]).max() > 60, "it can be seen"
            found.append(int((np.abs(picture - border[0]) > 20).any(0).sum()))
    assert np.mean(sizes["M"]) > np.mean(sizes["e"]) > np.mean(sizes["i"])
    # An L has its foot at the lower right in nearly every look: it is neither mirrored nor upside down.
    corners = []
    for look in range(20):
        picture = np.abs(glyph.drawn(font, "L", Draws("L", look)).astype(float))
        ink = np.abs(picture - picture[0, 0])
        rows, columns = np.flatnonzero(ink.max(1) > 30), np.flatnonzero(ink.max(0) > 30)
        inside = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        high, wide = inside.shape[0] // 2, inside.shape[1] // 2
        corners.append(inside[high:, wide:].sum() > inside[:high, wide:].sum())
    assert np.mean(corners) > 0.9


def test_glyph_is_the_same_every_time(glyphs: Path, tmp_path: Path) -> None:
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    font = ImageFont.truetype(fonts / "DejaVuSans.ttf", 72, layout_engine=ImageFont.Layout.BASIC)
    first = np.load(glyphs / "pixels.npy")[0]
    np.testing.assert_array_equal(first, glyph.drawn(font, "A", Draws("glyph", "DejaVuSans.ttf", ord("A"), 0)))


def test_the_characters_are_distinct_and_every_choice_is_among_them() -> None:
    characters = "".join(glyph.SCRIPTS.values())
    assert len(set(characters)) == len(characters) == 108
    for choice, count in ((glyph.CHARACTERS_24, 24), (glyph.LONG_TAIL, 40)):
        assert len(set(choice)) == len(choice) == count and set(choice) < set(characters)
    files = [file for names in glyph.FONTS.values() for file in names]
    assert len(set(files)) == len(files) == 123
    # What looks alike across scripts would be two classes of one shape.
    alike = [
        set("AΑА"),
        set("BΒВ"),
        set("EΕЕ"),
        set("HΗН"),
        set("KΚК"),
        set("MΜМ"),
        set("OΟО0o"),
        set("PΡР"),
        set("ΓГ"),
    ]
    alike += [
        set("TΤТ"),
        set("XΧХx"),
        set("YΥУ"),
        set("ΦФφф") - {"φ"},
        set("ΠП"),
        set("CСc"),
        set("Il|") | {"1"},
        set("ZΖz"),
    ]
    for shapes in alike:
        assert len(shapes & set(characters)) == 1, sorted(map(unicodedata.name, shapes & set(characters)))


@pytest.fixture
def emoji() -> Collection:
    """120 plates of one colour each, in four subgroups of two categories, one of them too small."""
    subgroups = ["round"] * 50 + ["square"] * 40 + ["flat"] * 27 + ["rare"] * 3
    categories = {"round": "toys", "square": "toys", "flat": "tools", "rare": "tools"}
    art: list[bytes] = []
    for number in range(120):
        file = io.BytesIO()
        Image.new("RGBA", (64, 64), (number * 2, 255 - number * 2, 30, 255)).save(file, "PNG")
        art.append(file.getvalue())
    return Collection(
        {
            "image:google": ImageColumn(art),
            "label": LabelColumn.from_values([categories[subgroup] for subgroup in subgroups]),
            "label:subgroup": LabelColumn.from_values(subgroups),
        },
        name="emoji",
        ids=[f"plate{number}" for number in range(120)],
        splits={split: np.arange(120)[np.arange(120) % 3 == part] for part, split in enumerate(ROWS)},
        groups=np.arange(120),
    )


def test_pasted_keeps_emoji_and_digits_apart(digits: Collection, emoji: Collection, tmp_path: Path) -> None:
    rows = {"train": 200, "validation": 30, "test": 60}
    for made in ("one", "two"):
        (tmp_path / made).mkdir()
        pasted.render(emoji, digits, tmp_path / made, rows, dict.fromkeys(rows, 3))
    assert (tmp_path / "one/pixels.npy").read_bytes() == (tmp_path / "two/pixels.npy").read_bytes()
    collection = pasted.open_set("pasted", tmp_path / "one")
    assert {split: len(chosen) for split, chosen in collection.splits.items()} == rows
    number = {f"plate{n}": n for n in range(120)}
    for part, chosen in enumerate(collection.splits.values()):
        drawn = [number[collection["label:emoji"][int(row)]] for row in chosen]
        assert {emoji % 3 for emoji in drawn} == {part}
        for row, plate in zip(chosen.tolist(), drawn, strict=True):
            # The plate is behind the digit, and takes up most of the picture.
            pixels = np.asarray(collection["image"][row]).reshape(-1, 3).tolist()
            assert pixels.count([plate * 2, 255 - plate * 2, 30]) > 32 * 32 / 3
            subgroup = emoji["label:subgroup"][plate]
            assert collection["label:subgroup"][row] == subgroup != "rare"
            assert collection["label:group"][row] == emoji["label"][plate]
    subgroup, digit = collection["label:subgroup"], collection.label
    assert isinstance(subgroup, LabelColumn) and digit is not None
    counts = np.bincount(subgroup.codes)
    assert len(counts) == 3 and counts.min() > 60, "subgroups are drawn equally often, whatever their size"
    table = np.zeros((3, 10))
    np.add.at(table, (subgroup.codes, digit.codes), 1)
    assert chi2_contingency(table).pvalue > 0.01, "the digit says nothing about the emoji"
