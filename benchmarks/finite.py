"""Every objective over temperatures, batches, kinds of numbers and rows that break things: finite, or refused clearly.

python benchmarks/finite.py [--json FILE] [--batches 2 16 256 4096]
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import every_objective as every

from unalike.errors import UnalikeError

TEMPERATURES = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", nargs="+", type=int, default=[2, 16, 256, 4096])
    parser.add_argument("--names", nargs="+", default=sorted(every.OBJECTIVES))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    wrong, refused = [], collections.Counter()
    began = time.monotonic()
    for name in given.names:
        print(f"{time.monotonic() - began:6.0f} s  {name}", flush=True)
        for count in given.batches:
            if count > 512 and name in every.CUBIC:
                continue
            # At the largest batch the ends and the middle of the temperatures, in the kinds of rows that matter most.
            for temperature in TEMPERATURES if count <= 512 else (1e-3, 0.1, 100.0):
                for kind in every.KINDS if count <= 512 else ("plain", "equal"):
                    for dtype in ("float32", "bfloat16"):
                        case = f"{name}, {kind} rows, batch {count}, temperature {temperature}, {dtype}"
                        try:
                            result = every.evaluate(name, kind, count, 16, temperature, dtype, 0)
                        except UnalikeError as error:
                            result = "refused"
                            refused[f"{name}: {error}"] += 1
                        except Exception as error:
                            result = f"{type(error).__name__}: {error}"
                        counts["finite" if result == "finite" else "refused" if result == "refused" else "wrong"] += 1
                        if result not in ("finite", "refused"):
                            wrong.append(f"{case}: {result}")
                            print(wrong[-1], flush=True)
    found = {
        "objectives": len(given.names),
        "batches": given.batches,
        "not above 512 rows": sorted(every.CUBIC & set(given.names)),
        "temperatures": TEMPERATURES,
        "counts": dict(counts),
        "refused": dict(refused.most_common(40)),
        "wrong": wrong,
        "seconds": round(time.monotonic() - began),
        "torch": torch.__version__,
    }
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
