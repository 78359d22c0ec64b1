"""What data there are: one explicit list of the sets in the package and of those that are fetched once.

Nothing here imports more than the standard library, so that the list is there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

from unalike.data.stated import Archive as Archive
from unalike.data.stated import Card as Card
from unalike.data.stated import Client, archives_of, card_of
from unalike.errors import DataError

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True, kw_only=True)
class SetRecord:
    """One set of the catalogue.

    Args:
        name: what it is called on the command line.
        title: one line.
        origin: ``embedded`` in the package, part of an ``installed`` library, ``fetched`` once into the cache, or
            ``rendered`` once into it from other sets and archives.
        kinds: the kinds of its columns; empty for weights.
        module: the file of `unalike.data.sets` that opens it, and converts it when it is fetched or rendered.
        archives: what it is made from.
        needs: other sets that it is rendered from.
        stored_with: the rendered set whose files it reads, with a choice of rows and splits of its own.
        index: locales of the package descriptions to read through apt, for a set made from apt's own index.
        weights: whether it is a folder of model weights rather than a collection.
        unseen: roles that are tested on and not trained on, unless the user says otherwise.
        revision: raised when the conversion writes something else, so that an older copy is not mistaken for it.
    """

    name: str
    title: str
    origin: Literal["embedded", "installed", "fetched", "rendered"]
    kinds: tuple[str, ...]
    module: str
    archives: tuple[Archive, ...] = ()
    needs: tuple[str, ...] = ()
    stored_with: str = ""
    index: tuple[str, ...] = ()
    weights: bool = False
    unseen: tuple[str, ...] = ()
    revision: int = 1

    @property
    def cached(self) -> bool:
        """Whether it is kept in the cache folder, once it has been fetched or rendered."""
        return self.origin in ("fetched", "rendered")

    @property
    def size(self) -> int:
        """Bytes that a user downloads, as far as they are known before; 0 for what comes with the package."""
        if not self.cached:
            return 0
        return sum(archive.size for archive in self.archives) + sum(made.size for made in self._made_from)

    @property
    def own_clients(self) -> tuple[Client, ...]:
        """The package clients that its own archives and index come through."""
        names: dict[Client, None] = {archive.client: None for archive in self.archives}
        return (*names, *(("apt",) if self.index else ()))

    @property
    def clients(self) -> tuple[Client, ...]:
        """The package clients that making it here needs, with those of the sets that it is rendered from."""
        if not self.cached:
            return ()
        others = [client for made in self._made_from for client in made.clients]
        return tuple(dict.fromkeys([*self.own_clients, *others]))

    @property
    def _made_from(self) -> tuple[SetRecord, ...]:
        return tuple(find_record(name) for name in (*self.needs, *((self.stored_with,) if self.stored_with else ())))


CATALOGUE: tuple[SetRecord, ...] = (
    SetRecord(
        name="emoji",
        title="1,911 emoji in three styles of art, named and tagged in 28 languages",
        origin="embedded",
        kinds=("image", "text", "tags", "label"),
        unseen=("image:fluent",),
        module="emoji",
        archives=archives_of("emoji"),
    ),
    SetRecord(
        name="wordnet",
        title="117,659 word senses of English with glosses, examples and links",
        origin="embedded",
        kinds=("text", "label"),
        module="wordnet",
        archives=archives_of("wordnet"),
    ),
    SetRecord(
        name="digits",
        title="1,797 handwritten digits of 8 x 8 pixels",
        origin="installed",
        kinds=("image", "array", "label"),
        module="digits",
    ),
    SetRecord(
        name="animals",
        title="10,000 animal shapes of 28 x 28 pixels in ten classes",
        origin="fetched",
        kinds=("image", "array", "label"),
        module="animals",
        archives=archives_of("animals"),
    ),
    SetRecord(
        name="mnist",
        title="10,000 handwritten digits of 28 x 28 pixels",
        origin="fetched",
        kinds=("image", "array", "label"),
        module="mnist",
        archives=archives_of("mnist"),
    ),
    SetRecord(
        name="tuxpaint",
        title="950 pictures with captions in 78 locales, many of them spoken",
        origin="fetched",
        kinds=("image", "text", "audio", "label"),
        module="tuxpaint",
        archives=archives_of("tuxpaint"),
    ),
    SetRecord(
        name="asterisk",
        title="telephone prompts spoken and written in English, Spanish, French, Italian and Russian",
        origin="fetched",
        kinds=("audio", "text"),
        module="asterisk",
        archives=archives_of("asterisk"),
    ),
    SetRecord(
        name="debian",
        title="the packages of Debian: descriptions in up to 12 languages, sections, tags and dependencies",
        origin="fetched",
        kinds=("text", "tags", "label"),
        module="debian",
        index=("en", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt_BR", "ru", "zh_CN"),
    ),
    SetRecord(
        name="descriptions",
        title="30,366 long descriptions of Debian's packages, each with the short one that asks for it",
        origin="rendered",
        kinds=("text", "label"),
        module="descriptions",
        index=("en",),
        stored_with="debian",
    ),
    SetRecord(
        name="debtags",
        title="30,000 descriptions of Debian's packages and their tags: 572 labels, several a row",
        origin="rendered",
        kinds=("text", "labels"),
        module="debtags",
        needs=("debian",),
    ),
    SetRecord(
        name="word-similarity",
        title="1,352 pairs of English words, and how alike people find them: SimLex-999 and WordSim-353",
        origin="fetched",
        kinds=("text", "array", "label"),
        module="word_similarity",
        archives=archives_of("word-similarity"),
    ),
    SetRecord(
        name="movielens",
        title="MovieLens-100k: 100,000 ratings of 1,682 films by 943 people",
        origin="fetched",
        kinds=("text", "array"),
        module="movielens",
        archives=archives_of("movielens"),
    ),
    SetRecord(
        name="shuttle",
        title="49,097 sensor readings of a space shuttle, 7 % of them anomalies",
        origin="fetched",
        kinds=("array", "label"),
        module="shuttle",
        archives=archives_of("shuttle"),
    ),
    SetRecord(
        name="furniture",
        title="820 models of furniture as points and pictures, named in 21 locales",
        origin="fetched",
        kinds=("points", "image", "text", "tags", "array", "label"),
        module="furniture",
        archives=archives_of("furniture"),
    ),
    SetRecord(
        name="aeon",
        title="eight classified sets of time series: GunPoint, JapaneseVowels, OSULeaf and others",
        origin="fetched",
        kinds=("series", "label"),
        module="series",
        archives=archives_of("aeon"),
    ),
    SetRecord(
        name="sktime",
        title="two more: PLAID, currents of household appliances, and an electrocardiogram",
        origin="fetched",
        kinds=("series", "label"),
        module="series",
        archives=archives_of("sktime"),
    ),
    SetRecord(
        name="clutter",
        title="7,000 handwritten digits on crops of photos, 24 x 24 pixels in colour",
        origin="rendered",
        kinds=("image", "label"),
        module="clutter",
        archives=archives_of("clutter"),
        needs=("mnist",),
    ),
    SetRecord(
        name="clutter-lt",
        title="clutter with a long tail: the most frequent digit has 50 times the rows of the rarest",
        origin="rendered",
        kinds=("image", "label"),
        module="clutter",
        stored_with="clutter",
    ),
    SetRecord(
        name="rotated",
        title="5,800 handwritten digits turned by up to 45 degrees on crops of photos; the angle is the target",
        origin="rendered",
        kinds=("image", "array", "label"),
        module="clutter",
        archives=archives_of("clutter"),
        needs=("mnist",),
    ),
    SetRecord(
        name="pasted",
        title="7,000 handwritten digits on emoji, 32 x 32 pixels in colour: two things to learn from each picture",
        origin="rendered",
        kinds=("image", "label"),
        module="pasted",
        needs=("emoji", "mnist"),
    ),
    SetRecord(
        name="motions",
        title="1,080 films of 32 frames, 24 x 24 pixels: emoji in eight motions over a changing ground",
        origin="rendered",
        kinds=("video", "label"),
        module="motions",
        archives=archives_of("clutter"),
        needs=("emoji",),
    ),
    SetRecord(
        name="games",
        title="1,200 films of 32 frames, 24 x 24 grey pixels: two Atari games played in five manners",
        origin="rendered",
        kinds=("video", "label"),
        module="games",
    ),
    SetRecord(
        name="three-names",
        title="8,100 rows that name three stamps in three languages, with a voice that tells which is shown",
        origin="rendered",
        kinds=("image", "text", "audio", "label"),
        module="three_names",
        needs=("tuxpaint",),
    ),
    SetRecord(
        name="xor",
        title="9,000 simulated rows of three times five bits, of which only all three together tell something",
        origin="rendered",
        kinds=("array", "points", "series", "label"),
        module="xor",
    ),
    SetRecord(
        name="glyph",
        title="108 characters of Latin, Greek and Cyrillic in 123 fonts, 24 x 24 grey pixels",
        origin="rendered",
        kinds=("image", "label"),
        module="glyph",
        archives=archives_of("glyph"),
    ),
    SetRecord(
        name="glyph-new",
        title="glyph split by character: those of the test are never seen in training",
        origin="rendered",
        kinds=("image", "label"),
        module="glyph",
        stored_with="glyph",
    ),
    SetRecord(
        name="glyph-24",
        title="24 characters of glyph, split by family of fonts",
        origin="rendered",
        kinds=("image", "label"),
        module="glyph",
        stored_with="glyph",
    ),
    SetRecord(
        name="glyph-lt",
        title="40 letters of glyph with a long tail: the most frequent one has 50 times the rows of the rarest",
        origin="rendered",
        kinds=("image", "label"),
        module="glyph",
        stored_with="glyph",
    ),
    SetRecord(
        name="minilm",
        title="weights of all-MiniLM-L6-v2, a sentence encoder for English",
        origin="fetched",
        kinds=(),
        module="weights",
        archives=archives_of("minilm"),
        weights=True,
    ),
    SetRecord(
        name="use",
        title="weights of the multilingual Universal Sentence Encoder, version 3, for 16 languages",
        origin="fetched",
        kinds=(),
        module="weights",
        archives=archives_of("use"),
        weights=True,
    ),
    SetRecord(
        name="smollm2",
        title="weights of SmolLM2-135M-Instruct in four bits, a small language model",
        origin="fetched",
        kinds=(),
        module="weights",
        archives=archives_of("smollm2"),
        weights=True,
    ),
)
"""Every set, embedded ones first."""


def find_record(name: str) -> SetRecord:
    """The record of a set.

    Raises:
        DataError: there is no such set; the message lists all names, the nearest first.

    Example:
        >>> find_record("emoji").origin
        'embedded'
    """
    for record in CATALOGUE:
        if record.name == name:
            return record
    names = [record.name for record in CATALOGUE]
    names.sort(key=lambda known: SequenceMatcher(None, known, name.lower()).ratio(), reverse=True)
    raise DataError(f"there is no data set {name!r}; there are {', '.join(names)}")


def card(name: str) -> Card:
    """The card of a set: source, licence, counts, splits, known problems.

    Raises:
        DataError: there is no such set.

    Example:
        >>> card("digits").counts["rows"]
        1797
    """
    record = find_record(name)
    return card_of(record.name, record.title)
