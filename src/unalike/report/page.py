"""The page itself: what is shown, how much of it, and how it is written."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from unalike.files import write_bytes
from unalike.report import charts, embedding_map, gallery
from unalike.report.inputs import Hit, Item, ReportInputs
from unalike.report.neighbours import Direction, Found, directions, find, normalised, pair_scores, sample
from unalike.report.pictures import Thumbnails, data_uri, thumbnail
from unalike.report.scoring import say
from unalike.report.wording import clean, number, percent, plural

LIMIT = 5_000_000
"""A page is smaller than this many bytes, whatever it is given."""

_SEARCHED = 5_000  # items among which the page looks for neighbours
_RESULTS = 6
_DIRECTIONS = 4
_PAIRS = 20_000
_SAMPLES = 64  # of a generative model
_TILE = 96  # side of a picture in the gallery; it is shown at 64 to 84


@dataclass(frozen=True)
class Detail:
    """How much the parts of a page that grow with the data may take."""

    points: int
    tile: int
    quality: int
    words: int
    queries: int
    mistakes: int
    lines: int


DETAILS = (
    Detail(points=3_000, tile=48, quality=72, words=140, queries=12, mistakes=6, lines=200),
    Detail(points=3_000, tile=36, quality=55, words=80, queries=12, mistakes=6, lines=200),
    Detail(points=2_000, tile=24, quality=45, words=60, queries=8, mistakes=4, lines=100),
    Detail(points=1_000, tile=0, quality=30, words=40, queries=4, mistakes=2, lines=50),
)
"""From rich to sparse; the first that stays below the limit is taken."""


def render(inputs: ReportInputs) -> str:
    """The report as one HTML page that needs no other file and asks for none.

    The page is below 5 MB for any number of items: of many, a sample is shown. Every text of the inputs is
    escaped, and the page's policy lets no script run but its own.

    Args:
        inputs: all that the page says.

    Returns:
        The page, to be written as UTF-8.

    Example:
        >>> page = render(ReportInputs(title="digits", summary=["Digits that look alike lie together."]))
        >>> page.startswith("<!doctype html>"), "http://" in page
        (True, False)
    """
    study = _Study(inputs)
    page = ""
    for detail in DETAILS:
        page = _template("report.html").render(study.context(detail))
        if len(page.encode()) < LIMIT:
            break
    return page


def write(inputs: ReportInputs, path: str | Path) -> Path:
    """Render the report and put it in place at once: a reader sees the old page or the new one, never a half.

    Args:
        inputs: all that the page says.
        path: the file to write; its folder is made if it is missing.

    Returns:
        The path of the page.

    Raises:
        RunError: the disk is full or cannot be written; the old page is untouched.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     page = write(ReportInputs(title="digits", summary=["Digits."]), Path(folder) / "report.html")
        ...     page.name
        'report.html'
    """
    target = Path(path)
    write_bytes(target, render(inputs).encode())
    return target


def search_page(
    query: str | Image.Image, hits: Sequence[Hit], *, title: str = "Search", notes: Sequence[str] = ()
) -> str:
    """What a search found, as one HTML page with pictures, texts and scores.

    Args:
        query: the words or the picture that was searched for.
        hits: what was found, nearest first; the first 200 are shown.
        title: the name of the run that was searched.
        notes: anything a reader must know, such as a recall below one.

    Returns:
        The page, to be written as UTF-8. It holds no script and is below 5 MB.

    Example:
        >>> page = search_page("a red bicycle", [Hit(item=Item(id="bikes/7.jpg", text="bicycle"), score=0.61)])
        >>> "bikes/7.jpg" in page, "<script" in page
        (True, False)
    """
    shown = hits[:200]
    items = [hit.item for hit in shown]
    thumbnails = Thumbnails(items, 128)
    page = ""
    for quality, words in ((80, 400), (55, 200), (25, 60)):
        cards = gallery.Cards(items, thumbnails, quality=quality, words=words)
        tiles = [cards.tile(place, score=hit.score) for place, hit in enumerate(shown)]
        page = _template("search.html").render(
            title=clean(title, 200),
            query=clean(query, 500) if isinstance(query, str) else "",
            picture="" if isinstance(query, str) else data_uri(thumbnail(query, 256), quality=80),
            tiles=tiles,
            more=len(hits) - len(shown),
            notes=[clean(note, 500) for note in [*notes[:20], *_unreadable(thumbnails)]],
        )
        if len(page.encode()) < LIMIT:
            break
    return page


class _Study:
    """What is worked out once for a page, however often it is laid out."""

    def __init__(self, inputs: ReportInputs) -> None:
        self.inputs = inputs
        generator = np.random.default_rng(inputs.seed)
        kept = sample(inputs.items, _SEARCHED, generator)
        self.items: list[Item] = [inputs.items[int(row)] for row in kept]
        self.vectors = normalised(inputs.vectors[kept])
        self.thumbnails = Thumbnails(self.items, _TILE)
        self.searches = [
            (direction, find(direction, self.vectors, _RESULTS)) for direction in directions(self.items)[:_DIRECTIONS]
        ]
        self._layouts: dict[int, tuple[np.ndarray, list[tuple[str, str, np.ndarray]]]] = {}

    def context(self, detail: Detail) -> dict[str, Any]:
        """Everything the template names."""
        inputs, words = self.inputs, 500
        generator = np.random.default_rng(inputs.seed)
        context = {
            "title": clean(inputs.title, 200),
            "summary": [clean(sentence, words) for sentence in inputs.summary[:40]],
            "facts": [(clean(name, 80), clean(value, words)) for name, value in inputs.facts[: detail.lines]],
            "headline": [say(score) for score in inputs.scores[:3]],
            "curves": charts.line_charts(inputs.curves, inputs.collapse_below),
            "scores": [say(score) for score in inputs.scores[: detail.lines]],
            "geometry": [say(score) for score in inputs.geometry[: detail.lines]],
            "samples": self._samples(detail),
            "galleries": self._galleries(detail, generator),
            "mistakes": self._mistakes(detail),
            "histogram": self._histogram(generator),
            "map": self._map(detail),
            "sampled": len(self.items) if len(self.items) < len(inputs.items) else 0,
            "total": len(inputs.items),
            "versions": [(clean(k, 80), clean(v, 80)) for k, v in list(inputs.versions.items())[:100]],
            "command": clean(inputs.command, 2000),
        }
        notes = [*inputs.notes, *_unreadable(self.thumbnails)]
        context["notes"] = [clean(note, words) for note in notes[: detail.lines]]
        context["more_notes"] = max(0, len(notes) - detail.lines)
        return context

    def _samples(self, detail: Detail) -> list[gallery.Tile]:
        items = self.inputs.samples[:_SAMPLES]
        cards = gallery.Cards(items, Thumbnails(items, 128), quality=detail.quality + 8, words=detail.words)
        return [cards.tile(place) for place in range(len(items))]

    def _galleries(self, detail: Detail, generator: np.random.Generator) -> list[dict[str, Any]]:
        cards = gallery.Cards(self.items, self.thumbnails, quality=detail.quality + 8, words=detail.words)
        shown = []
        for place, (direction, found) in enumerate(self.searches):
            count = detail.queries if place == 0 else max(1, detail.queries // 2)
            answered = found.rank > 0
            shown.append(
                {
                    "name": direction.name,
                    "by": direction.by,
                    "rows": gallery.rows(direction, found, cards, count=count, k=_RESULTS, generator=generator),
                    "asked": int(answered.sum()),
                    "targets": len(direction.targets),
                    "first": _first_is_right(direction, found),
                }
            )
        return shown

    def _mistakes(self, detail: Detail) -> list[dict[str, Any]]:
        cards = gallery.Cards(self.items, self.thumbnails, quality=detail.quality + 8, words=detail.words)
        found_wrong = []
        for direction, found in self.searches[:2]:
            worst = gallery.mistakes(direction, found, cards, count=detail.mistakes)
            if worst:
                entry = {"name": direction.name, "by": direction.by, "worst": worst}
                found_wrong.append(entry | {"targets": len(direction.targets)})
        return found_wrong

    def _histogram(self, generator: np.random.Generator) -> charts.Histogram | None:
        right, wrong = self.inputs.positive_scores, self.inputs.negative_scores
        if right is None or wrong is None:
            known = [direction for direction, _ in self.searches if direction.by is not None]
            if not known:
                return None
            right, wrong = pair_scores(known[0], self.vectors, _PAIRS, generator)
        return charts.histogram(right, wrong) if len(right) and len(wrong) else None

    def _map(self, detail: Detail) -> dict[str, Any] | None:
        if len(self.items) < 3:
            return None
        if detail.points not in self._layouts:
            rows = sample(self.items, detail.points, np.random.default_rng(self.inputs.seed))
            places = []
            for projection in self.inputs.projections:
                place, note = embedding_map.lay_out(self.vectors[rows], projection, self.inputs.seed)
                places.append(({"pca": "PCA", "tsne": "t-SNE"}[projection], note, place))
            self._layouts[detail.points] = rows, places
        rows, places = self._layouts[detail.points]
        if not places:
            return None
        return embedding_map.payload(
            self.items,
            rows,
            places,
            self.vectors,
            self.thumbnails,
            tile=detail.tile,
            quality=detail.quality,
            words=detail.words,
        )


def _first_is_right(direction: Direction, found: Found) -> float | None:
    """The share of the queries with a known answer that found a right one first."""
    answered = found.rank > 0
    if not answered.any():
        return None
    first = direction.truth[found.nearest[answered, 0]]
    return float((first == direction.truth[direction.queries[answered]]).mean())


def _unreadable(thumbnails: Thumbnails) -> list[str]:
    """One note for all pictures that this page wanted to show and could not."""
    if not thumbnails.unreadable:
        return []
    row, reason = min(thumbnails.unreadable.items())
    count = plural(len(thumbnails.unreadable), "picture")
    return [f"{count} could not be read for this page, the first {thumbnails.items[row].id}: {reason}"]


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text("utf-8")


def _script_hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unalike.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value, LIMIT) if type(value) is str else value,
    )
    # Letters stay letters: an escape takes six bytes where the letter takes two or three.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.filters["percent"] = percent
    environment.filters["number"] = number
    environment.globals["plural"] = plural
    script = _asset("page.js")
    # These two are files of this package and the only texts that are not escaped.
    environment.globals["style"] = Markup(_asset("page.css"))
    environment.globals["script"] = Markup(script)
    environment.globals["script_hash"] = _script_hash(script)
    return environment


def _template(name: str) -> Any:
    return _environment().get_template(name)
