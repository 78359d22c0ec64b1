"""The page in a real browser: its script runs, nothing complains, nothing overflows, strangers' scripts do not run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_samples import digits, hostile

from unalike.report import render

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium fonts-dejavu"),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=3000",
)
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's document after its script ran, and what the browser's console said."""
    assert CHROMIUM is not None
    profile = page.with_suffix(".profile")
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def scripted(page: str, program: str) -> str:
    """The page with a visitor's hand: a script of the test, which the page's own policy would not let run."""
    hand = f"<script>addEventListener('load', () => setTimeout(() => {{ {program} }}, 300))</script>"
    return POLICY.sub("", page).replace("</body>", hand + "</body>")


def attribute(document: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', document)
    assert found, f"{name} is not in the document"
    return found[1]


def test_the_map_is_drawn_and_nothing_complains(tmp_path: Path) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    page.write_text(render(digits()), "utf-8")
    document, said = browse(page, "--dump-dom", "--window-size=1280,900")
    assert said == []
    assert attribute(document, "data-drawn") == "600"
    assert 20 < int(attribute(document, "data-boxes")) < 600
    assert document.count('aria-pressed="false"') == 10, "one key for each digit"
    _, said = browse(page, f"--screenshot={picture}", "--window-size=1280,6000")
    assert said == []
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (6000, 1280, 3)
    map_colours = np.unique(pixels[2000:2800, 160:1120].reshape(-1, 3), axis=0)
    assert len(map_colours) > 500, "the map is drawn in many colours"


def test_pointing_at_a_point_explains_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    # The pointer walks over the map until something answers, after a digit was chosen and the map enlarged.
    point = """
        const plot = document.querySelector('.plot[data-points]'), room = plot.getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent('pointermove', {clientX: room.left + room.width}));
        const canvas = document.getElementById('map-canvas'), box = canvas.getBoundingClientRect();
        document.querySelector('#map-legend button').click();
        document.getElementById('map-in').click();
        document.getElementById('map-find').value = 'digits/';
        document.getElementById('map-find').dispatchEvent(new Event('input'));
        const tip = document.getElementById('map-tip');
        for (let x = 0.02; x < 1 && tip.hidden; x += 0.02)
            for (let y = 0.02; y < 1 && tip.hidden; y += 0.02)
                canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + x * box.width,
                    clientY: box.top + y * box.height, pointerType: 'mouse'}));
    """
    page.write_text(scripted(render(digits()), point), "utf-8")
    document, said = browse(page, "--dump-dom", "--window-size=1280,900")
    assert said == []
    tip = document[document.index('id="map-tip"') :]
    tip = tip[: tip.index('id="map-legend"')]
    assert "hidden" not in tip[: tip.index(">")]
    assert re.search(r"label: \d", tip) and "digits/" in tip and "nearest in the whole space" in tip
    assert "step 39" in document, "the curve tells the step under the pointer"
    assert len(re.findall('<button[^>]*aria-pressed="true"', document)) == 1


def test_no_stranger_is_let_in(tmp_path: Path) -> None:
    page = tmp_path / "hostile.html"
    page.write_text(render(hostile()), "utf-8")
    document, said = browse(page, "--dump-dom", "--window-size=1280,900")
    assert said == []
    assert attribute(document, "data-drawn") == "60"
    assert not re.search(r"<title>owned", document)
    assert document.count("<script") == 2 and '<img src="x"' not in document
    # Even a script that got into the page would not run, and this test would see the console say so.
    page.write_text(render(digits(50)).replace("</body>", "<script>document.title = 'owned'</script></body>"), "utf-8")
    document, said = browse(page, "--dump-dom")
    assert "<title>owned" not in document and attribute(document, "data-drawn") == "50"
    assert len(said) == 1 and "Content Security Policy" in said[0]


@pytest.mark.parametrize("source", ["digits", "hostile"])
def test_a_phone_needs_no_sideways_scrolling(tmp_path: Path, source: str) -> None:
    inner, outer = tmp_path / "inner.html", tmp_path / "outer.html"
    tell = "parent.postMessage(document.documentElement.scrollWidth, '*')"
    inner.write_text(scripted(render({"digits": digits, "hostile": hostile}[source]()), tell), "utf-8")
    outer.write_text(
        "<!doctype html><title>phone</title><body><script>addEventListener('message', (event) => "
        "{ document.body.dataset.width = event.data })</script>"
        '<iframe src="inner.html" style="width:360px;height:780px;border:0"></iframe></body>',
        "utf-8",
    )
    document, _ = browse(outer, "--dump-dom", "--window-size=800,900")
    assert attribute(document, "data-width") == "360"
