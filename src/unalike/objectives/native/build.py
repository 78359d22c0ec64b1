"""Compile the kernels beside this file. Imports the standard library only, since the build hook runs it too."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE / "kernels.so"
SETS = {
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "avx2": ["-march=x86-64-v3"],
    "baseline": [],
}
# Not -ffast-math: it removes the rounding by a magic number in the exponential.
FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]


def supported() -> bool:
    """Whether there are kernels for this system: Linux on x86-64, where torch brings the products they call."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")


def compiler() -> str | None:
    """The C compiler: what ``CC`` names, or cc, gcc or clang; None if there is none."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    return None


def build(target: Path = LIBRARY) -> Path:
    """Compile to one shared library with an object for each instruction set.

    Raises:
        RuntimeError: no compiler, or it fails; the message holds its output.
    """
    cc = compiler()
    if cc is None:
        raise RuntimeError("no C compiler found; set CC, or go on without: the portable path needs none")
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for isa, flags in SETS.items():
            objects.append(str(Path(folder) / f"{isa}.o"))
            _run([cc, *FLAGS, *flags, f"-DISA={isa}", "-c", str(HERE / "kernel.c"), "-o", objects[-1]])
        objects.append(str(Path(folder) / "dispatch.o"))
        _run([cc, *FLAGS, "-c", str(HERE / "dispatch.c"), "-o", objects[-1]])
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        _run([cc, "-shared", *objects, "-lm", "-o", str(fresh)])
        fresh.replace(target)
    return target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    print(build())
