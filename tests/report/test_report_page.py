"""The page as a whole: well formed, self-contained, small, and proof against what it is given."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_samples import HOSTILE, digits, hostile, scores

from unalike.report import Hit, Item, ReportInputs, page, render, search_page, write

ATTRIBUTES = {"class", "style", "title", "dir", "id", "aria-label", "aria-hidden", "role", "src", "alt"}
ATTRIBUTES |= {"hidden", "data-points"}
VOID = {"meta", "img", "input", "br", "link", "hr"}


class Outline(HTMLParser):
    """Reads a page strictly: every tag is closed in its order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}: {attrs}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        {"script": self.scripts, "style": self.styles}.get(where, self.text).append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def check(source: str) -> Outline:
    """What holds for every page that this package writes."""
    assert source.startswith("<!doctype html>")
    assert len(source.encode("utf-8")) < 5_000_000
    outline = Outline(source)
    for name, attributes in outline.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (name, key)
            if key in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                assert value is not None and value.startswith(("data:image/", "#")), (name, key, value)
            if key == "style":
                assert not re.search(r"url|expression|@import", value or "")
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {name for name, _ in outline.tags}
    for style in outline.styles:
        assert "url(" not in style and "@import" not in style
    assert all(attributes.get("alt") for attributes in outline.named("img"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes["href"] or "")[1:] for attributes in outline.named("a")}
    assert targets <= set(ids)
    assert outline.named("html")[0]["lang"] == "en" and len(outline.named("h1")) == 1
    return outline


def policy(outline: Outline) -> str:
    found = [each for each in outline.named("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert len(found) == 1
    return found[0]["content"] or ""


def test_a_page_of_real_digits() -> None:
    source = render(digits())
    outline = check(source)
    assert "http:" not in source and "https:" not in source
    headings = [text for text in map(str.strip, outline.text) if text]
    for heading in ("Settings", "Training", "Scores and floors", "Map of the space", "Nearest neighbours"):
        assert heading in headings
    assert len(outline.named("section")) == 9
    tables = outline.named("table")
    assert len(tables) == 1 and all("scope" in each for each in outline.named("th"))
    data = json.loads(outline.scripts[0])
    assert data["count"] == 600 and len(data["near"]) == 600 and data["sprite"].startswith("data:image/webp")


def test_only_the_pages_own_script_may_run() -> None:
    outline = check(render(digits(100)))
    running = [each for each in outline.named("script") if each.get("type") != "application/json"]
    assert len(running) == 1 and len(outline.scripts) == 2
    digest = base64.b64encode(hashlib.sha256(outline.scripts[1].encode()).digest()).decode()
    assert policy(outline) == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_sections_without_data_are_left_out() -> None:
    outline = check(render(ReportInputs(title="empty", summary=["Nothing yet."])))
    assert not outline.named("section") and not outline.named("table") and not outline.named("canvas")
    only_scores = check(render(ReportInputs(title="scores", summary=["Measured."], scores=scores())))
    assert [each["id"] for each in only_scores.named("section")] == ["scores"]
    unnamed = check(render(ReportInputs(title="no sentence", summary=[])))
    assert unnamed.named("h1")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_items(count: int) -> None:
    check(render(digits(count)))


def test_things_without_pictures_texts_or_labels() -> None:
    items = [Item(id=f"row {row}") for row in range(50)]
    outline = check(render(ReportInputs(title="rows", summary=["Rows."], items=items, vectors=np.eye(50))))
    assert [each["id"] for each in outline.named("section")] == ["map", "neighbours"]


def test_hostile_texts_stay_texts() -> None:
    plain, bad = digits(60), render(hostile())
    outline = check(bad)
    allowed = {name for name, _ in check(render(plain)).tags}
    assert {name for name, _ in outline.tags} <= allowed | {"li", "img"}
    assert len(outline.named("script")) == 2
    assert any(HOSTILE in text for text in outline.text), "the text itself is shown, unchanged"
    data = json.loads(outline.scripts[0])
    assert data["colours"][0]["names"][0].startswith("</script><script>")
    assert "<" not in outline.scripts[0] and bad.count("</script") == 2
    shown = [attributes for name, attributes in outline.tags if name in ("p", "div", "img", "span")]
    assert all(set(attributes) <= ATTRIBUTES for attributes in shown)


@pytest.mark.parametrize(
    "text", ["\u2028\u2029", "\u202egnp.exe", "a\ud800b", "\x00\x1b[31m", "😀" * 300, "مرحبا", "]]>", "-->"]
)
def test_strange_letters(text: str) -> None:
    items = [Item(id=text, text=text, label=text, kind="text") for _ in range(4)]
    outline = check(render(ReportInputs(title=text, summary=[text], items=items, vectors=np.eye(4))))
    json.loads(outline.scripts[0])


def test_a_page_is_below_its_limit_whatever_it_is_given() -> None:
    rng = np.random.default_rng(0)
    count = 5_200
    noise = [Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for _ in range(40)]
    items = [
        Item(
            id="目" * 300 + str(row),
            kind=f"image:{row % 2}",
            label=f"{'ж' * 200}{row}",
            text="語<" * 1_000,
            instance=str(row // 2),
            thumbnail=noise[row % 40],
            facets={f"facet {place}": f"{'é' * 90}{row}" for place in range(9)},
        )
        for row in range(count)
    ]
    inputs = ReportInputs(
        title="語" * 9_999,
        summary=["語" * 9_999] * 99,
        facts=[("語" * 999, "語" * 99_999)] * 999,
        curves=[{"step": step} | {f"curve {place}": step / 7 for place in range(40)} for step in range(300)],
        scores=[score for score in scores() for _ in range(200)],
        items=items,
        vectors=rng.standard_normal((count, 16)),
        notes=["語" * 999] * 9_999,
        command="語" * 99_999,
    )
    check(render(inputs))


def test_less_detail_is_taken_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = digits(300)
    rich = render(inputs)
    monkeypatch.setattr(page, "LIMIT", len(rich.encode()) - 1)
    sparse = render(inputs)
    assert len(sparse.encode()) < len(rich.encode())
    data = json.loads(check(sparse).scripts[0])
    assert data["count"] == 300 and data["tile"] in {detail.tile for detail in page.DETAILS[1:]}


def test_the_same_inputs_give_the_same_page() -> None:
    assert render(digits(200)) == render(digits(200))
    assert render(digits(200)) != render(digits(200, seed=1))


def test_pictures_that_are_gone_are_counted() -> None:
    def gone() -> Image.Image:
        raise FileNotFoundError("no such file: a.png")

    items = [Item(id=f"{row}.png", kind="image", thumbnail=gone) for row in range(5)]
    source = render(ReportInputs(title="gone", summary=["Gone."], items=items, vectors=np.eye(5)))
    check(source)
    assert "5 pictures could not be read for this page, the first 0.png: no such file: a.png" in source


def test_write_puts_the_page_in_place(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "report.html"
    assert write(digits(50), target) == target
    first = target.read_text("utf-8")
    write(digits(60), str(target))
    assert target.read_text("utf-8") != first
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    """The system itself refuses to write more than a thousand bytes."""
    target = tmp_path / "report.html"
    target.write_text("old")
    program = (
        "import resource, sys; from unalike.report import ReportInputs, write;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "write(ReportInputs(title='t', summary=['s']), sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-B", "-c", program, str(target)], capture_output=True, text=True)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert target.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_search_page_shows_its_hits() -> None:
    picture = Image.new("RGB", (40, 30), "teal")
    hits = [
        Hit(item=Item(id="a.png", kind="image", thumbnail=picture, text="a happy cat", label="cat"), score=0.91),
        Hit(item=Item(id="row 7", kind="text", text="chat heureux"), score=-0.25),
    ]
    outline = check(search_page("chat heureux", hits, title="runs/emoji", notes=["Recall 0.98."]))
    shown = " ".join(" ".join(outline.text).split())
    for words in ("runs/emoji", "chat heureux", "a happy cat", "a.png", "0.910", "−0.250", "2 results", "Recall 0.98."):
        assert words in shown
    assert not outline.scripts and "script-src" not in policy(outline)
    by_picture = check(search_page(picture, hits))
    assert len(by_picture.named("img")) == 2
    texts = check(search_page("chat", hits[1:]))
    assert not texts.named("img")


def test_a_search_page_is_proof_against_its_hits() -> None:
    hits = [Hit(item=item, score=0.5) for item in hostile().items]
    source = search_page(HOSTILE, hits, title=HOSTILE, notes=[HOSTILE])
    outline = check(source)
    assert not outline.named("script") and "<script" not in source
    many = check(search_page("x" * 99_999, hits * 20))
    assert "1,000 more results left out." in " ".join(" ".join(many.text).split())
    check(search_page("", []))
