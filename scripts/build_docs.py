"""Write the pages that are made from the code: docs/losses.md from the objectives' docstrings, docs/systems.md from
the systems' records.

    python scripts/build_docs.py [--check]

With --check nothing is written; the exit code tells whether the pages are current.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from pathlib import Path

from unalike import objectives, systems

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def section(docstring: str, name: str) -> str:
    """The text of a docstring's one-line section, joined; empty where there is none."""
    found = re.search(rf"^{name}: (.*?)(?=\n\n|\n\S+:|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""


def formula(docstring: str) -> str:
    """The first literal of the docstring's body that looks like a formula."""
    body = docstring.split("\n", 1)[-1].split("Args:")[0]
    codes = re.findall(r"``(.+?)``", body, re.DOTALL)
    return " ".join(codes[0].split()) if codes else ""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


def losses() -> str:
    """Which loss for which data: one row an objective, in the words of its docstring."""
    lines = [
        "# Which loss for which data",
        "",
        "Made from the docstrings by `python scripts/build_docs.py`. All are pure functions in `unalike.objectives`;",
        "shapes and settings are in `help(unalike.objectives.NAME)`.",
        "",
        "| objective | what it does | data | formula | cost |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(objectives.__all__):
        objective = getattr(objectives, name)
        docstring = inspect.getdoc(objective) or ""
        data = section(docstring, "Data")
        if not data or not callable(objective):
            continue
        what = docstring.splitlines()[0]
        code = formula(docstring)
        shown = f"`{code}`" if code else ""
        row = [f"`{name}`", what, data, shown, section(docstring, "Cost")]
        lines.append("| " + " | ".join(cell(each) for each in row) + " |")
    return "\n".join(lines) + "\n"


def cards() -> str:
    """The systems: one section each."""
    lines = ["# The systems", "", "Made from the systems' files by `python scripts/build_docs.py`.", ""]
    for system in systems.all_systems():
        paper = system.paper
        where = ", ".join(each for each in (paper.venue, f"arXiv {paper.arxiv}" if paper.arxiv else None) if each)
        needs = ", ".join((*paper.roles, "label") if paper.labels else paper.roles)
        lines += [
            f"## {system.slug}",
            "",
            inspect.cleandoc(system.module.__doc__ or ""),
            "",
            f"{paper.authors}. *{paper.title}*. {paper.year}. {where}.",
            "",
            f"- learns from: {needs}" if needs else f"- kind: {paper.kind}",
            f"- claim: {system.claim.sentence}",
        ]
        if system.claim.baseline:
            lines.append(f"- argues against: {system.claim.baseline}")
        lines.append(f"- file: `src/unalike/systems/{'/'.join(system.module.__name__.split('.')[-2:])}.py`")
        lines.append("")
    return "\n".join(lines)


def speed() -> str:
    """The stored measurements of the pairwise losses, one row a family, batch and width."""
    lines = [
        "| loss | batch | width | ms | of the limit | torch.compile | plain torch | best known package |",
        "|---|---|---|---|---|---|---|---|",
    ]
    own = {"unalike (portable)", "unalike (stored)", "unalike (SupCon)", "torch.compile", "plain torch", "unalike"}
    for path in sorted((ROOT / "benchmarks" / "results").glob("objectives-*.json")):
        groups: dict[tuple[str, int, int], dict[str, dict[str, float]]] = {}
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            groups.setdefault((row["family"], row["batch"], row["width"]), {})[row["name"]] = row
        for (family, batch, width), rows in groups.items():
            times = {name: row["times_as_long_as_ours"] for name, row in rows.items()}
            peers = {name: time for name, time in times.items() if name not in own}
            best = min(peers, key=peers.__getitem__)
            ours = rows["unalike"]
            lines.append(
                f"| {family} | {batch:,} | {width} | {ours['milliseconds']:.1f} | {ours['fraction_of_limit']:.2f} "
                f"| {times['torch.compile']:.2f}x | {times['plain torch']:.2f}x | {best} {peers[best]:.2f}x |"
            )
    return "\n".join(lines)


def readme() -> str:
    """The README with the measurements between its markers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(
        r"(<!-- speed -->\n).*?(\n<!-- end of speed -->)",
        lambda found: found[1] + speed() + found[2],
        text,
        flags=re.DOTALL,
    )


PAGES = {"../README.md": readme, "losses.md": losses, "systems.md": cards}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = []
    for name, make in PAGES.items():
        path, content = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(name)
            if not arguments.check:
                path.write_text(content, encoding="utf-8")
    if arguments.check and stale:
        sys.exit(f"not current: {', '.join(stale)}; run python scripts/build_docs.py")


if __name__ == "__main__":
    main()
