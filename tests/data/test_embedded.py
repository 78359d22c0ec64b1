"""The sets in the package: what they hold is what their cards say, and nothing leaks."""

from __future__ import annotations

import io
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from unalike.data import Collection, card, fetching, open_set, open_table, wordnet_links
from unalike.data.catalogue import EMBEDDED
from unalike.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def emoji() -> Collection:
    return open_set("emoji")


@pytest.fixture(scope="module")
def wordnet() -> Collection:
    return open_set("wordnet")


@pytest.mark.parametrize("name", ["emoji", "wordnet", "digits"])
def test_a_set_is_what_its_card_says(name: str) -> None:
    collection, stated = open_set(name), card(name)
    assert len(collection) == stated.counts["rows"]
    assert {split: len(rows) for split, rows in collection.splits.items()} == dict(stated.splits)
    assert collection.groups is not None and len(set(collection.groups)) == stated.counts["groups"]
    named = {role if role in stated.roles else f"{role.split(':')[0]}:LOCALE" for role in collection.columns}
    assert named == set(stated.roles)


def test_emoji_are_complete(emoji: Collection) -> None:
    stated = card("emoji").counts
    assert len(emoji.roles("text")) == len(emoji.roles("tags")) == stated["locales"] == 28
    for style in ("google", "twitter", "fluent"):
        assert emoji[f"image:{style}"].present.sum() == stated[f"with {style} art"]
    for role in emoji.roles("text"):
        assert emoji[role].present.all()
        assert emoji.repeated(role).rows == 0, f"two emoji have the same name in {role}"
    assert emoji["label"].names == sorted(emoji["label"].names)  # type: ignore[attr-defined]
    assert len(emoji["label:subgroup"].names) == stated["subcategories"] == 99  # type: ignore[attr-defined]


def test_an_emoji_has_its_pictures_names_and_tags(emoji: Collection) -> None:
    row = emoji.ids.index("1f98a")
    assert (emoji["text:en"][row], emoji["text:de"][row], emoji["text:zh"][row]) == ("fox", "Fuchs", "狐狸")
    assert "face" in emoji["tags:en"][row].split(", ")
    assert (emoji["label"][row], emoji["label:subgroup"][row]) == ("animals-nature", "animal-mammal")
    for style in ("google", "twitter", "fluent"):
        pixels = np.asarray(emoji[f"image:{style}"][row], np.int64)
        assert pixels.shape == (64, 64, 3)
        assert (pixels[0, 0] == 255).all(), "the corner is transparent, and so white"
        red, green, blue = pixels.reshape(-1, 3)[pixels.min(-1).ravel() < 200].mean(0)
        assert red > green > blue, "a fox is orange"


def test_stored_pictures_keep_their_alpha() -> None:
    table = pq.read_table(EMBEDDED / "emoji.parquet", columns=["image:google", "image:twitter", "image:fluent"])
    for column in table.columns:
        picture = Image.open(io.BytesIO(column[100].as_py()))
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGBA", (64, 64))
        assert picture.getextrema()[3] == (0, 255)


def test_variants_of_an_emoji_share_a_group_and_a_split(emoji: Collection) -> None:
    """Gender and direction are told here from the English names alone, not from code points as the build does."""
    people = ("man ", "woman ", "person ", "men ", "women ", "people ")
    families = defaultdict(list)
    for row, name in enumerate(emoji["text:en"]):
        for prefix in people:
            if name.startswith((prefix, prefix.strip() + ": ")):
                rest = name.removeprefix(prefix).removeprefix(prefix.strip() + ": ")
                families[rest.removesuffix(": facing right")].append(row)
        for plain in ("health worker", "superhero", "mage", "elf", "detective", "astronaut"):
            if name == plain:
                families[plain].append(row)
    families = {rest: rows for rest, rows in families.items() if len(rows) > 1}
    assert len(families) > 60
    for rest, rows in families.items():
        assert len(set(emoji.groups[rows])) == 1, f"the variants of {rest!r} are in different groups"
    named = {name: row for row, name in enumerate(emoji["text:en"])}
    for together in (
        ("boy", "girl", "child"),
        ("prince", "princess", "person with crown"),
        ("Santa Claus", "Mrs. Claus", "Mx Claus"),
        ("mermaid", "merman", "merperson"),
        ("family", "family: man, woman, boy", "family: woman, girl, girl", "family: adult, child"),
        ("kiss", "kiss: man, man"),
        ("flag: Norway", "flag: Svalbard & Jan Mayen", "flag: Bouvet Island"),
        ("left-facing fist", "right-facing fist"),
    ):
        assert len({emoji.groups[named[name]] for name in together}) == 1, together
    assert len({emoji.groups[named[name]] for name in ("cat", "dog", "red heart", "flag: Chad", "flag: Romania")}) == 5


def test_tags_are_no_texts(emoji: Collection) -> None:
    chosen = emoji.split("validation")
    assert not set(chosen.roles("text")) & set(chosen.roles("tags"))
    assert chosen["tags:fr"].kind == "tags"


def test_wordnet_says_what_words_mean(wordnet: Collection) -> None:
    row = wordnet.ids.index("n02084071")
    assert wordnet["text:lemmas"][row] == "dog, domestic dog, Canis familiaris"
    assert wordnet["text"][row].startswith("a member of the genus Canis")
    assert wordnet["text:example"][row] == "the dog barked all night"
    assert wordnet["label"][row] == "noun.animal"
    assert len(wordnet["label"].names) == card("wordnet").counts["classes"] == 45  # type: ignore[attr-defined]
    assert wordnet["text"].present.all() and wordnet["text:lemmas"].present.all()
    assert wordnet["text:example"].present.sum() == card("wordnet").counts["with an example"]


def test_wordnet_links_lead_where_they_should(wordnet: Collection) -> None:
    stated = {
        kind.removeprefix("links: "): count for kind, count in card("wordnet").counts.items() if kind[:5] == "links"
    }
    for kind, count in stated.items():
        assert len(wordnet_links(kind)[0]) == count
    assert open_table("wordnet", "links").num_rows == sum(stated.values())
    row = {id: number for number, id in enumerate(wordnet.ids)}
    source, target = wordnet_links("hypernym")
    wider = {wordnet["text:lemmas"][number] for number in target[source == row["n02084071"]]}
    assert wider == {"canine, canid", "domestic animal, domesticated animal"}
    able, unable = wordnet_links("antonym")
    assert row["a00002098"] in unable[able == row["a00001740"]]
    pairs = set(zip(able.tolist(), unable.tolist(), strict=True))
    # WordNet itself states these few in one direction only.
    assert sum((b, a) not in pairs for a, b in pairs) < 10
    with pytest.raises(DataError, match=r"no links of the kind 'synonym'; it has .*hypernym"):
        wordnet_links("synonym")


def test_antonyms_and_equal_definitions_do_not_cross_splits(wordnet: Collection) -> None:
    split = np.full(len(wordnet), -1)
    for number, rows in enumerate(wordnet.splits.values()):
        split[rows] = number
    assert (split >= 0).all()
    for kind in ("antonym", "similar to", "verb group"):
        source, target = wordnet_links(kind)
        assert (split[source] == split[target]).all()
    repeats = wordnet.repeated("text").groups
    assert len(np.unique(np.stack([repeats, split]), axis=1).T) == len(np.unique(repeats))


def test_digits_are_those_of_scikit_learn() -> None:
    collection, digits = open_set("digits"), load_digits()
    np.testing.assert_array_equal(collection["array"].values, digits.data)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(collection["label"].codes, digits.target)  # type: ignore[attr-defined]
    grey = np.asarray(collection["image"][17])[..., 0]
    np.testing.assert_allclose(grey / 255 * 16, digits.images[17], atol=0.04)
    for rows in collection.splits.values():
        shares = np.bincount(digits.target[rows]) / np.bincount(digits.target)
        assert np.ptp(shares) < 0.02


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in EMBEDDED.glob("wordnet*"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(fetching, "EMBEDDED", tmp_path)
    assert len(open_set("wordnet")) == 117_659
    with (tmp_path / "wordnet-links.parquet").open("r+b") as file:
        file.seek(1000)
        file.write(b"\0")
    with pytest.raises(DataError, match=r"wordnet-links.parquet has changed: .* Install the package again"):
        open_set("wordnet")


def test_options_and_tables_that_do_not_exist() -> None:
    with pytest.raises(SettingsError, match="emoji has no option 'side'; it has none"):
        open_set("emoji", side=32)
    with pytest.raises(DataError, match="wordnet has no table 'ratings'; it has links"):
        open_table("wordnet", "ratings")
    with pytest.raises(DataError, match="minilm is a folder of weights"):
        open_set("minilm")
