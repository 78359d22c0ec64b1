"""The board: every stored row in one table and one picture, and a picture for each system's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from unalike.claims.rows import Result, Row
from unalike.claims.verdict import Effect
from unalike.records import Modality

COLOURS = {"holds": "#2b7a4b", "fails": "#b3382c", "open": "#6b6b6b"}
REACH = 8.0
"""Effects are drawn in half widths of their interval, up to this many."""


def board(rows: Sequence[Row], *, page: Callable[[Row], str], picture: str) -> str:
    """``RESULTS.md``: one line a system, by modality.

    Args:
        rows: stored results.
        page: link of a system's own page.
        picture: link of the picture.
    """
    lines = [
        "# Does it hold?",
        "",
        "Each system's paper, its essential claim, and what came of it here: real data, the same encoder and budget",
        "for the system and its baseline, settings chosen on validation for both alike, paired seeds, scored once on",
        "test. **holds**: the 95% interval of the difference lies on the claimed side; **fails**: on the other;",
        "**open**: it covers zero. The mechanism is the quantity through which the paper says that its method works.",
        "Repeat a line with `unalike check SYSTEM`, all of them with `make claims`.",
        "`unalike check --status` tells whether the code that is here still computes what was measured.",
        "",
        f"![Effects with their intervals]({picture})",
        "",
        summary(rows),
    ]
    for modality in (each for each in get_args(Modality) if any(row.modality == each for row in rows)):
        lines += ["", f"## {modality}", "", *table([row for row in rows if row.modality == modality], page)]
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Row]) -> str:
    outcome = [row.first.verdict for row in rows]
    mechanism = [row.mechanism for row in rows if row.mechanism is not None]

    def counts(found: Sequence[str]) -> str:
        return ", ".join(f"{found.count(name)} {word}" for name, word in WORDS.items())

    return f"{len(rows)} systems. Outcome: {counts(outcome)}. Mechanism: {counts(mechanism)}."


WORDS = {"holds": "hold", "fails": "fail", "open": "open"}


def table(rows: Sequence[Row], page: Callable[[Row], str]) -> list[str]:
    """The lines of a table of rows."""
    lines = [
        "| no. | system | claim | baseline | measured | effect [95% interval] | verdict | mechanism | core seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.number or 0):
        first = row.first
        cells = [
            str(row.number or ""),
            f"[{row.slug}]({page(row)})",
            row.sentence,
            row.baseline or "",
            first.name,
            effect(first),
            f"**{first.verdict}**",
            "; ".join(f"{each.name}: {each.verdict}" for each in row.results if each.mechanism),
            f"{row.seconds['work']:.0f}",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def effect(result: Result) -> str:
    """A difference with its interval; the bootstrap's too where it would lead to another verdict."""
    text = f"{number(result.effect)} [{number(result.interval[0])}, {number(result.interval[1])}]"
    edge = result.margin if result.better == "higher" else -result.margin
    by_t, by_bootstrap = ((low > edge) - (high < edge) for low, high in (result.interval, result.bootstrap))
    if by_t != by_bootstrap:
        text += f" (bootstrap [{number(result.bootstrap[0])}, {number(result.bootstrap[1])}])"
    return text


def number(value: float) -> str:
    """Three significant digits with a sign, without an exponent where that is readable."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:+.3f}" if abs(value) < 10 else f"{value:+.1f}"
    return f"{value:+.1e}"


def measures(row: Row) -> list[str]:
    """The lines of a table of one row's measures, each beside its floors."""
    lines = [
        "| measured | arms | values | effect [95% interval] | verdict | floors |",
        "|---|---|---|---|---|---|",
    ]
    for each in row.results:
        means = ", ".join(f"{name} {np.mean(values):.3g}" for name, values in each.values.items())
        floors = ", ".join(f"{name} {value:.3f}" for name, value in each.floors.items())
        kind = " (mechanism)" if each.mechanism else ""
        against = each.against if isinstance(each.against, str) else f"{each.against:g}"
        arms = "all" if len(each.values) > 2 else f"{each.arm} against {against}"
        allowed = f", {number(each.margin)} allowed" if each.margin else ""
        lines.append(
            f"| {each.name}{kind} | {arms}, {each.better} is claimed{allowed} | {means} | {effect(each)} "
            f"| **{each.verdict}** | {floors} |"
        )
    if row.numbers:
        lines += ["", "| number | arm | mean [95% interval] |", "|---|---|---|"]
        lines += [f"| {name} | {arm} | {mean(found)} |" for name, arm, found in row.numbers]
    return lines


def mean(found: Effect) -> str:
    """A number of a study's table, over the seeds."""
    low, high = found.interval
    return f"{found.value:.3g} [{low:.3g}, {high:.3g}]"


STYLE: Any = {"svg.hashsalt": "unalike", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
"""What makes matplotlib write the same SVG for the same numbers."""


def save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def draw_board(rows: Sequence[Row], path: Path) -> None:
    """One line a system: outcome and mechanism, each effect with its interval in half widths of that interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ordered = sorted(rows, key=lambda row: row.number or 0, reverse=True)
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(7.2, 0.8 + 0.34 * len(ordered)), layout="constrained")
        axes.axvline(0, color="#999999", linewidth=0.8)
        for place, row in enumerate(ordered):
            found = [(row.first, "o", 0.14)]
            found += [(each, "D", -0.14) for each in row.results if each.mechanism and each is not row.first][:1]
            for result, marker, offset in found:
                centre, half = standing(result)
                ends = np.clip([centre - half, centre + half], -REACH, REACH)
                beyond = ">" if centre > REACH else "<" if centre < -REACH else marker
                style: Any = {"color": COLOURS[result.verdict], "linewidth": 1.6, "markersize": 4.5}
                axes.plot(ends, [place + offset] * 2, **style)
                axes.plot(np.clip(centre, -REACH, REACH), place + offset, beyond, **style)
        axes.set_yticks(range(len(ordered)), [f"{row.number or ''} {row.slug}" for row in ordered])
        axes.set_xlim(-REACH - 0.3, REACH + 0.3)
        axes.set_xlabel(
            "difference on the claimed side, in half widths of its 95% interval\n"
            "circle: outcome, diamond: mechanism, arrow: beyond the edge"
        )
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        save(figure, path)
        pyplot.close(figure)


def standing(result: Result) -> tuple[float, float]:
    """Where an effect stands from its margin, on the claimed side, in half widths; and the half width, one."""
    sign = 1.0 if result.better == "higher" else -1.0
    edge = result.margin if result.better == "higher" else -result.margin
    half = (result.interval[1] - result.interval[0]) / 2
    distance = sign * (result.effect - edge)
    return (distance / half, 1.0) if half > 0 else (float(np.sign(distance)) * REACH, 0.0)


def draw_page(row: Row, path: Path) -> None:
    """The idea in a picture: scores of pairs in each arm, the losses, and each measure seed by seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    histograms = {name: curves for name, curves in row.pictures.items() if "same" in curves}
    shown = [name for name in ("system", "baseline") if name in histograms] or list(histograms)[:2]
    with pyplot.rc_context(STYLE):
        columns = max(2, len(shown))
        figure = pyplot.figure(figsize=(3.6 * columns, 2.5 * (bool(shown) + 1)), layout="constrained")
        grid = figure.add_gridspec(bool(shown) + 1, columns)
        edges = np.linspace(-1, 1, 41)
        top = max((max(histograms[name][kind]) for name in shown for kind in ("same", "different")), default=1.0)
        for place, name in enumerate(shown):
            axes = figure.add_subplot(grid[0, place])
            for kind, colour in (("different", "#b0b0b0"), ("same", "#2f6db3")):
                axes.stairs(histograms[name][kind], edges, fill=True, alpha=0.65, color=colour, label=f"{kind} class")
            axes.set_ylim(0, 1.05 * top)
            axes.set_yticks([])
            axes.set_title(title(row, name))
            axes.set_xlabel("cosine of two test rows")
            if place == 0:
                axes.legend(frameon=False, loc="upper left")
        trained = {name: curves for name, curves in row.pictures.items() if curves.get("loss")}
        if trained:
            draw_losses(figure.add_subplot(grid[-1, 0]), trained)
        draw_seeds(figure.add_subplot(grid[-1, 1:] if trained else grid[-1, :]), row.first)
        save(figure, path)
        pyplot.close(figure)


def draw_losses(axes: Any, trained: Mapping[str, Mapping[str, Any]]) -> None:
    """The losses of the first seed's arms."""
    for name, curves in list(trained.items())[:6]:
        steps = np.linspace(0, curves["steps"], len(curves["loss"]))
        axes.plot(steps, curves["loss"], label=name, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False, fontsize=7)


def draw_seeds(axes: Any, result: Result) -> None:
    """The first measure: one line a seed between its arms."""
    names = list(result.values)[:4]
    for seed in range(len(result.values[names[0]])):
        axes.plot(
            range(len(names)), [result.values[name][seed] for name in names], "o-", color="#888888", linewidth=0.8
        )
    for place, name in enumerate(names):
        axes.plot(place, np.mean(result.values[name]), "_", color="#111111", markersize=22, markeredgewidth=2)
    floors = {name: value for name, value in result.floors.items() if name != "shuffled"}
    for name, value in floors.items():
        axes.axhline(value, linestyle=":", linewidth=0.8, color="#b3382c")
        axes.annotate(name, (len(names) - 0.55, value), fontsize=6.5, color="#b3382c", va="bottom", ha="right")
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_title(f"{result.name}: one line a seed")


def title(row: Row, arm: str) -> str:
    return row.slug if arm == "system" else row.baseline or arm if arm == "baseline" else arm
