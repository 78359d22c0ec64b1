"""Build the embedded emoji set out of four npm packages: python scripts/build_emoji.py

Downloads through npm, checks the SHA-256 sums, and writes ``src/unalike/data/embedded/emoji.parquet`` and what was
counted into ``src/unalike/data/cards/emoji.json``. The same versions of Pillow,
NumPy and pyarrow write the same bytes; the pixels and texts are the same with any.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from embedding import open_sources, write_set
from PIL import Image

from unalike.data.splits import make_splits

SIDE = 64
"""pixels"""

STEPS = np.array([8, 8, 8, 16])
"""Red, green, blue and alpha are rounded to multiples of these, which halves the file: see the card for the cost."""

SAME_ART = 5.0
"""Two emoji whose pictures differ by less than this (rms of 255, at 32 px on white) are variants of each other."""

JOINER, SIGNS, TONES = "200d", {"2640", "2642"}, {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
ADULTS, CHILDREN = {"1f468", "1f469", "1f9d1"}, {"1f466", "1f467", "1f9d2"}
RIGHT = "27a1"

# Variants that have a code point of their own, so that no rule on sequences finds them.
FAMILIES = (
    ("1f9d3", "1f474", "1f475"),  # older person, man, woman
    ("1f9d1-200d-1f384", "1f385", "1f936"),  # Mx, Santa and Mrs. Claus
    ("1fac5", "1f934", "1f478"),  # person with crown, prince, princess
    ("1fac4", "1f930", "1fac3"),  # pregnant person, woman, man
    ("1f9d1-200d-1f37c", "1f931"),  # feeding a baby, breast-feeding
    ("1f483", "1f57a"),  # woman and man dancing
    ("1f9d1-200d-1f91d-200d-1f9d1", "1f46b", "1f46c", "1f46d"),  # people holding hands
    ("1f9d1-200d-2764-200d-1f48b-200d-1f9d1", "1f48f"),  # kiss
    ("1f9d1-200d-2764-200d-1f9d1", "1f491"),  # couple with heart
    ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"),  # swatches of skin tones
    ("1faf1", "1faf2"),  # rightwards and leftwards hand
    ("1faf7", "1faf8"),  # rightwards and leftwards pushing hand
    ("1f91b", "1f91c"),  # left- and right-facing fist
    ("1f448", "1f449"),  # index pointing left and right
)
_FIRST = {member: family[0] for family in FAMILIES for member in family}


def key(hexcode: str) -> str:
    """The code points of an emoji without variation selectors, by which the four packages are joined."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def concept(emoji: str) -> str:
    """The emoji without skin tone, gender and direction: the same for all variants that a rule can find."""
    points = emoji.split("-")
    if len(points) > 1:
        points = [point for point in points if point not in TONES]
    parts = "-".join(points).split(f"-{JOINER}-")
    parts = parts[:1] + [part for part in parts[1:] if part not in SIGNS and part != RIGHT]
    parts = ["1f9d1" if part in ADULTS else "1f9d2" if part in CHILDREN else part for part in parts]
    if emoji == "1f46a" or (len(parts) > 1 and set(parts) <= {"1f9d1", "1f9d2"}):
        return "1f46a"  # family, whoever is in it
    name = f"-{JOINER}-".join(parts)
    return _FIRST.get(name, name)


def picture(path: Path) -> Image.Image:
    """A square picture of ``SIDE`` pixels with alpha, its colours rounded."""
    with Image.open(path) as opened:
        image = opened.convert("RGBA")
    if image.width != image.height:
        square = Image.new("RGBA", (max(image.size),) * 2)
        square.paste(image, ((square.width - image.width) // 2, (square.height - image.height) // 2))
        image = square
    if image.width != SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(image).astype(np.int64)
    rounded = np.minimum((pixels + STEPS // 2) // STEPS * STEPS, 255)
    rounded[rounded[..., 3] == 0] = 0
    return Image.fromarray(rounded.astype(np.uint8))


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, quality=80, method=4)
    return file.getvalue()


def on_white(image: Image.Image) -> np.ndarray:
    laid = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(laid.resize((32, 32), Image.Resampling.BOX), np.float64).ravel()


def same_art(images: Iterable[Image.Image | None]) -> list[tuple[int, int]]:
    """Pairs of rows whose pictures are all but equal."""
    rows = [(row, on_white(image)) for row, image in enumerate(images) if image is not None]
    pixels = np.stack([pixels for _, pixels in rows])
    squares = (pixels**2).sum(1)
    square = np.maximum(squares[:, None] + squares[None] - 2 * pixels @ pixels.T, 0.0)
    close = np.argwhere(np.triu(np.sqrt(square / pixels.shape[1]) < SAME_ART, 1))
    return [(rows[a][0], rows[b][0]) for a, b in close]


def groups_of(concepts: list[str], pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Number of the group of each row: equal concepts and given pairs are in one group."""
    first: dict[str, int] = {}
    group = [first.setdefault(name, row) for row, name in enumerate(concepts)]
    for a, b in pairs:
        low, high = sorted((group[a], group[b]))
        group = [low if number == high else number for number in group]
    return np.unique(group, return_inverse=True)[1]


def main() -> None:
    with open_sources("emoji") as (google, twitter, fluent, emojibase):
        base = emojibase / "package"
        names = json.loads((base / "meta/groups.json").read_text(encoding="utf-8"))
        locales = sorted(path.parent.name for path in base.glob("*/data.json"))
        files = {
            style: {key(entry["unified"]): entry["image"] for entry in json.loads(path.read_text(encoding="utf-8"))}
            for style, path in (("google", google / "package/emoji.json"), ("twitter", twitter / "package/emoji.json"))
        }
        entries = {
            locale: {
                key(entry["hexcode"]): entry
                for entry in json.loads((base / locale / "data.json").read_text(encoding="utf-8"))
            }
            for locale in locales
        }
        rows = sorted(
            (emoji for emoji in entries["en"] if emoji in files["google"] and emoji in files["twitter"]),
            key=lambda emoji: entries["en"][emoji]["order"],
        )
        assets = {key(path.stem): path for path in (fluent / "package/assets").glob("*.webp")}
        paths = {
            "google": [google / "package/img/google/64" / files["google"][emoji] for emoji in rows],
            "twitter": [twitter / "package/img/twitter/64" / files["twitter"][emoji] for emoji in rows],
            "fluent": [assets.get(emoji) for emoji in rows],
        }
        art = {style: [path and picture(path) for path in listed] for style, listed in paths.items()}

    twins = [pair for images in art.values() for pair in same_art(images)]
    groups = groups_of([concept(emoji) for emoji in rows], twins)
    english = [entries["en"][emoji] for emoji in rows]
    subgroup = [names["subgroups"][str(entry["subgroup"])] for entry in english]
    strata = np.unique(subgroup, return_inverse=True)[1]
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    splits = make_splits(len(rows), fractions=fractions, groups=groups, labels=strata)
    split = np.empty(len(rows), object)
    for name, chosen in splits.items():
        split[chosen] = name

    columns: dict[str, pa.Array] = {
        "id": pa.array(rows),
        "emoji": pa.array([entry["emoji"] for entry in english]),
        "category": pa.array([names["groups"][str(entry["group"])] for entry in english]).dictionary_encode(),
        "subcategory": pa.array(subgroup).dictionary_encode(),
        "group": pa.array(groups, pa.int32()),
        "split": pa.array(list(split)).dictionary_encode(),
    }
    for style, images in art.items():
        columns[f"image:{style}"] = pa.array([image and encoded(image) for image in images], pa.binary())
    for locale in locales:
        listed = [entries[locale][emoji] for emoji in rows]
        columns[f"text:{locale}"] = pa.array([entry["label"] for entry in listed])
        columns[f"tags:{locale}"] = pa.array([", ".join(entry.get("tags", ())) or None for entry in listed])

    counts = {
        "rows": len(rows),
        **{f"with {style} art": sum(image is not None for image in images) for style, images in art.items()},
        "locales": len(locales),
        "categories": len({names["groups"][str(entry["group"])] for entry in english}),
        "subcategories": len(set(subgroup)),
        "groups": int(groups.max()) + 1,
    }
    write_set(
        "emoji",
        {"emoji.parquet": pa.table(columns)},
        counts=counts,
        splits={name: len(chosen) for name, chosen in splits.items()},
    )


if __name__ == "__main__":
    main()
