"""Characters of Latin, Greek and Cyrillic in many fonts: the class is the character, the instance is the font."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from unalike.data.collection import Collection
from unalike.data.columns import ImageColumn
from unalike.data.sets.clutter import with_long_tail
from unalike.data.sets.drawing import Draws
from unalike.data.sets.stored import groups_of, label_of, names_of, splits_of, write_rows
from unalike.data.splits import make_splits

SIDE = 24
LOOKS = 2
"""pictures of each character in each font"""

SCRIPTS: Mapping[str, str] = {
    "latin": "ABCDEFGHJKLMNOPQRSTUVWXYZabdefghijmnqrtyßæðøþ",
    "greek": "ΓΔΘΞΠΣΦΨΩαβγδεζηθλμξςσφω",
    "cyrillic": "БДЖИЙЛЦЧШЩЪЫЬЭЮЯбЂЉЊ",
    "digit": "123456789",
    "sign": "&@#%?§€£$¶",
}
"""A shape that several characters share stands once: that of A, Alpha and the Cyrillic A; of O, o and 0; of I and l."""

CHARACTERS_24 = "ABEGHKMQRSabdegnqt25ΔΩЖЮ"
LONG_TAIL = "ABCDEFGHJKLMNOPQRSTUVWXYZabdefghmnqrtyßæ"

_STYLES = ("Regular", "Bold", "Italic", "BoldItalic")
FONTS: Mapping[str, Sequence[str]] = {
    "Anonymous Pro": [f"Anonymous Pro{style}.ttf" for style in ("", " B", " I", " BI")],
    "Cantarell": [f"Cantarell-{style}.otf" for style in ("Regular", "Bold", "ExtraBold", "Light", "Thin")],
    "CMU Bright": [f"cmun{style}.ttf" for style in ("bmr", "bmo", "bsr", "bso", "bbx", "bxo")],
    "CMU Concrete": [f"cmun{style}.ttf" for style in ("orm", "oti", "obx", "obi")],
    "CMU Sans Serif": [f"cmun{style}.ttf" for style in ("ss", "si", "sx", "so", "ssdc")],
    "CMU Serif": [f"cmun{style}.ttf" for style in ("rm", "ti", "bx", "bi", "sl", "ui")],
    "CMU Typewriter Text": [f"cmun{style}.ttf" for style in ("tt", "it", "tb", "tx", "btl", "st")],
    "Carlito": [f"Carlito-{style}.ttf" for style in _STYLES],
    "Comfortaa": [f"Comfortaa-{style}.ttf" for style in ("Regular", "Bold", "Light")],
    "DejaVu Sans": ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"],
    "DejaVu Serif": ["DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"],
    "EB Garamond": ["EBGaramond12-Regular.otf", "EBGaramond12-Italic.otf"],
    "Fira Code": [f"FiraCode-{style}.ttf" for style in ("Light", "Regular", "Medium", "Bold")],
    "FreeMono": [f"FreeMono{style}.ttf" for style in ("", "Bold", "Oblique", "BoldOblique")],
    "FreeSans": [f"FreeSans{style}.ttf" for style in ("", "Bold", "Oblique", "BoldOblique")],
    "FreeSerif": [f"FreeSerif{style}.ttf" for style in ("", "Bold", "Italic", "BoldItalic")],
    "Jura": [f"Jura-{style}.otf" for style in ("Light", "Regular", "Bold")],
    "Lato": [f"Lato-{style}.ttf" for style in ("Hairline", "Light", "Regular", "Italic", "Bold", "Black")],
    "Liberation Mono": [f"LiberationMono-{style}.ttf" for style in _STYLES],
    "Liberation Sans": [
        *(f"LiberationSans-{style}.ttf" for style in _STYLES),
        *(f"LiberationSansNarrow-{style}.ttf" for style in ("Regular", "Bold")),
    ],
    "Liberation Serif": [f"LiberationSerif-{style}.ttf" for style in _STYLES],
    "Linux Biolinum": [f"LinBiolinum_{style}.otf" for style in ("R", "RB", "RI")],
    "Linux Libertine": [f"LinLibertine_{style}.otf" for style in ("R", "RB", "RI", "RZ", "DR")],
    "Old Standard": [f"OldStandard-{style}.ttf" for style in ("Regular", "Bold", "Italic")],
    "Open Sans": [f"OpenSans-{style}.ttf" for style in ("Light", *_STYLES, "CondBold")],
    "Play": ["Play-Regular.ttf", "Play-Bold.ttf"],
    "Roboto": [
        *(f"Roboto-{style}.ttf" for style in ("Thin", "Regular", "Italic", "Black")),
        *(f"RobotoCondensed-{style}.ttf" for style in ("Light", "Bold")),
    ],
    "Tuffy": [f"Tuffy{style}.ttf" for style in ("", "_Bold", "_Italic", "_Bold_Italic")],
    "Vollkorn": [f"Vollkorn-{style}.ttf" for style in ("Regular", "Italic", "Bold", "Black")],
}
"""Files by family; what is drawn from the same outlines, such as narrow and fixed widths, counts as one family. All of
them have every character."""


def convert(name: str, sources: Sequence[Path], made: Path) -> None:
    files = {path.name: path for source in sources for path in source.rglob("*.[ot]tf")}
    render({family: [files[file] for file in names] for family, names in FONTS.items()}, SCRIPTS, made)


def render(fonts: Mapping[str, Sequence[Path]], scripts: Mapping[str, str], made: Path) -> None:
    """Draw every character in every font, and split by family of fonts and by character."""
    rows: list[tuple[str, str, str, str]] = []
    pixels = []
    for name, files in fonts.items():
        for file in files:
            font = ImageFont.truetype(file, 72, layout_engine=ImageFont.Layout.BASIC)
            for script, characters in scripts.items():
                for character in characters:
                    for look in range(LOOKS):
                        pixels.append(drawn(font, character, Draws("glyph", file.name, ord(character), look)))
                        rows.append((character, script, name, file.stem))
    character_of, script_of, family_of, font_of = (np.array(column) for column in zip(*rows, strict=True))
    family, letter, written = (
        np.unique(column, return_inverse=True)[1] for column in (family_of, character_of, script_of)
    )
    by_font = make_splits(len(rows), fractions={"train": 0.6, "validation": 0.15, "test": 0.25}, groups=family)
    by_character = make_splits(
        len(rows), fractions={"train": 0.5, "validation": 0.15, "test": 0.35}, groups=letter, labels=written
    )
    np.save(made / "pixels.npy", np.stack(pixels), allow_pickle=False)
    write_rows(
        made / "rows.parquet",
        {
            "label": character_of.tolist(),
            "script": script_of.tolist(),
            "family": family_of.tolist(),
            "font": font_of.tolist(),
            "split_new": names_of(by_character, len(rows)),
        },
        groups=family,
        splits=by_font,
    )


def drawn(font: ImageFont.FreeTypeFont, character: str, draws: Draws) -> np.ndarray:
    """One character, uint8 ``(SIDE, SIDE)``: its size, turn, place, ink and paper vary.

    It is drawn three times as large or more and reduced, so that neither hinting nor whole pixels show.
    """
    left, top, right, bottom = font.getbbox(character)
    sheet = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(sheet).text((4 - left, 4 - top), character, 255, font)
    sheet = sheet.rotate(draws.number(-10, 10), Image.Resampling.BICUBIC, expand=True)
    sheet = sheet.crop(sheet.getbbox())
    # The size is that of the font, so that small letters stay smaller than capitals; what is too wide is reduced.
    scale = min(draws.number(18, 24) / font.size, (SIDE - 2) / max(sheet.size))
    width, height = (max(1, round(edge * scale)) for edge in sheet.size)
    covering = np.zeros((SIDE, SIDE))
    room = [min((SIDE - edge) / 2, 3.0) for edge in (height, width)]
    row, column = (
        round((SIDE - edge) / 2 + draws.number(-free, free)) for edge, free in zip((height, width), room, strict=True)
    )
    small = sheet.resize((width, height), Image.Resampling.BOX)
    covering[row : row + height, column : column + width] = np.asarray(small, np.float64) / 255
    paper, ink = draws.number(0, 255), draws.number(0, 255)
    while abs(paper - ink) < 100:
        paper, ink = draws.number(0, 255), draws.number(0, 255)
    return np.rint(paper + (ink - paper) * covering).astype(np.uint8)


def open_set(name: str, folder: Path) -> Collection:
    table = pq.read_table(folder / "rows.parquet")
    rows = _chosen(name, table)
    table = table.take(pa.array(rows))
    pixels = np.load(folder / "pixels.npy", allow_pickle=False)
    new = name == "glyph-new"
    label = label_of(table, "label")
    collection = Collection(
        {
            "image": ImageColumn(pixels[rows]),
            "label": label,
            "label:script": label_of(table, "script"),
            "label:font": label_of(table, "font"),
            "label:family": label_of(table, "family"),
        },
        name=name,
        ids=[str(row) for row in rows],
        splits=splits_of(table, "split_new" if new else "split"),
        groups=label.codes if new else groups_of(table),
    )
    return with_long_tail(collection) if name == "glyph-lt" else collection


def _chosen(name: str, table: pa.Table) -> np.ndarray:
    kept = {"glyph-24": CHARACTERS_24, "glyph-lt": LONG_TAIL}.get(name)
    if kept is None:
        return np.arange(table.num_rows)
    return np.flatnonzero(np.isin(np.array(table["label"].to_pylist()), list(kept)))
