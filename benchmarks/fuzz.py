"""Generated input for everything that a stranger may hand in: only the package's own errors may come out.

    python benchmarks/fuzz.py [--inputs 10000] [--surfaces csv jsonl ...] [--seed 0] [--json FILE]

An input may take five seconds at most, and all those of a surface 512 MiB more than there were. What fails is made as
small as possible and kept under tests/corpus/, where the tests hand it in again.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import surfaces
from hypothesis import HealthCheck, Phase, given, seed, settings

MOST_MIB = 512


def fuzz(name: str, inputs: int, chosen: int) -> dict[str, Any]:
    """Hand many inputs to a surface; a row of what came of it."""
    counts: collections.Counter[str] = collections.Counter()
    failed: dict[str, Any] = {}

    @seed(chosen)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(surfaces.SURFACES[name].inputs)
    def one(given_input: Any) -> None:
        try:
            counts[surfaces.survive(name, given_input)] += 1
        except BaseException as error:
            counts["failed"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Of each defect the last, which is the smallest.
            failed[f"{type(error).__name__}: {error}"[:200] + f" ({Path(place.filename).name}:{place.lineno})"] = (
                given_input
            )
            raise

    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(Exception):
        one()
    places = {said.rpartition("(")[2]: said for said in failed}
    for said in places.values():
        content = surfaces.to_bytes(failed[said])
        place = surfaces.CORPUS / name
        place.mkdir(parents=True, exist_ok=True)
        suffix = surfaces.SURFACES[name].suffix
        (place / f"{hashlib.blake2b(content, digest_size=5).hexdigest()}{suffix}").write_bytes(content)
    grown = round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
    if grown > MOST_MIB:
        places[f"{grown} MiB"] = f"memory grew by {grown} MiB, by more than {MOST_MIB}"
    return {
        "surface": name,
        "inputs": sum(counts.values()),
        **{what: counts[what] for what in ("taken", "refused", "failed")},
        "problems": list(places.values()),
        "seconds": round(time.monotonic() - began, 1),
        "MiB above the start": grown,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--surfaces", nargs="+", default=list(surfaces.SURFACES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in options.surfaces:
        rows.append(fuzz(name, options.inputs, options.seed))
        print(json.dumps(rows[-1]), flush=True)
    if options.json:
        # Surfaces that were not asked for keep what was stored of them.
        stored = json.loads(options.json.read_text())["surfaces"] if options.json.exists() else []
        found = {row["surface"]: row for row in stored + [row | {"seed": options.seed} for row in rows]}
        rows_in_order = [found[name] for name in surfaces.SURFACES if name in found]
        options.json.write_text(json.dumps({"surfaces": rows_in_order}, indent=1) + "\n")
    raise SystemExit(any(row["problems"] for row in rows))


if __name__ == "__main__":
    main()
