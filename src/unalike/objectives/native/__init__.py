"""Loads the compiled kernels and hands them their work; `backend` says what is in use.

The kernels take the address of torch's own ``sgemm_`` (Intel MKL's) and of the function by which torch's OpenMP starts
its threads, both through ctypes, so that they are tied to no torch version and start no threads beside torch's. Where
one of the two is missing (other systems, other builds of torch), or there is no compiled library, the portable path
does the same in plain torch calls.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_double, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unalike.errors import SettingsError
from unalike.objectives import tiles
from unalike.objectives.native.build import LIBRARY

LEVELS = {"baseline": 1, "avx2": 2, "avx512": 3}
CHOICES = ("auto", "portable", *LEVELS)


class Walk(Structure):
    """One walk over the scores; the fields are explained in ``kernel.h``."""

    _fields_ = [
        ("sgemm", c_void_p),
        ("parallel", c_void_p),
        ("local_threads", c_void_p),
        ("threads", c_int64),
        ("tile_rows", c_int64),
        ("tile_columns", c_int64),
        ("queries", c_void_p),
        ("keys", c_void_p),
        ("n", c_int64),
        ("m", c_int64),
        ("d", c_int64),
        ("scale", c_float),
        ("row_scale", c_void_p),
        ("shift", c_float),
        ("symmetric", c_int64),
        ("columns", c_int64),
        ("row_label", c_void_p),
        ("column_label", c_void_p),
        ("separate", c_int64),
        ("pointers", c_void_p),
        ("partners", c_void_p),
        ("row_sum", c_void_p),
        ("row_same", c_void_p),
        ("column_sum", c_void_p),
        ("column_same", c_void_p),
        ("row_weight", c_void_p),
        ("row_same_weight", c_void_p),
        ("column_weight", c_void_p),
        ("column_same_weight", c_void_p),
        ("pair_weight", c_void_p),
        ("d_queries", c_void_p),
        ("d_keys", c_void_p),
        ("stored", c_void_p),
        ("stored_floats", c_int64),
        ("have", c_int64),
        ("only", c_void_p),
        ("positive", c_void_p),
        ("room", c_void_p),
        ("loss", c_double),
    ]


class Kernels:
    """The loaded library and the addresses that it calls."""

    def __init__(self, library: ctypes.CDLL, sgemm: int, parallel: int, local_threads: int) -> None:
        self.library = library
        self.addresses = {"sgemm": sgemm, "parallel": parallel, "local_threads": local_threads}
        for name in ("unalike_forward", "unalike_backward", "unalike_whole"):
            getattr(library, name).argtypes = [POINTER(Walk)]
        library.unalike_pairs.argtypes = [POINTER(Walk), c_void_p]
        library.unalike_longest.argtypes = [c_void_p, c_int64, c_int64]
        library.unalike_longest.restype = c_double
        library.unalike_choose.argtypes = [c_int]

    def run(self, name: str, walk: Walk, *more: Any) -> bool:
        """Call a kernel; false where the range of the scores is too wide for it.

        Raises:
            MemoryError: it found no room for its places.
        """
        code = getattr(self.library, f"unalike_{name}")(byref(walk), *more)
        if code == 1:
            raise MemoryError(
                f"no memory for the gradients of {walk.n} x {walk.m} scores of vectors of length {walk.d}"
            )
        return code == 0

    def walk(self, queries: Tensor, keys: Tensor, *, symmetric: bool = False) -> Walk:
        """A walk over float32 vectors; the caller keeps every tensor alive whose address it puts in."""
        threads = torch.get_num_threads()
        shape = tiles.native((queries.shape[0], keys.shape[0]), threads, symmetric=symmetric)
        return Walk(
            **self.addresses,
            threads=threads,
            tile_rows=shape.rows,
            tile_columns=shape.columns,
            queries=queries.data_ptr(),
            keys=keys.data_ptr(),
            n=queries.shape[0],
            m=keys.shape[0],
            d=queries.shape[1],
            symmetric=symmetric,
        )

    def longest(self, vectors: Tensor) -> float:
        """The largest length of a row; NaN where one is not finite."""
        return self.library.unalike_longest(vectors.data_ptr(), *vectors.shape)


@functools.cache
def _load(library: Path) -> Kernels | str:
    """The kernels, or why there are none."""
    if not library.exists():
        return "the library was not compiled (no C compiler at install, or not Linux on x86-64)"
    try:
        torch_library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        names = ("sgemm_", "GOMP_parallel", "MKL_Set_Num_Threads_Local")
        sgemm, parallel, local = (ctypes.cast(getattr(torch_library, name), c_void_p).value for name in names)
        own = ctypes.CDLL(str(library))
        fits = getattr(own, "unalike_walk_bytes")() == ctypes.sizeof(Walk)  # noqa: B009
    except (OSError, AttributeError) as error:
        return f"this build of torch does not offer what the kernels need: {error}"
    if not fits or sgemm is None or parallel is None or local is None:
        return "the library was compiled for another version of this package"
    kernels = Kernels(own, sgemm, parallel, local)
    return kernels if _agrees(kernels) else "torch's sgemm_ does not take 32-bit sizes"


def _agrees(kernels: Kernels) -> bool:
    """Whether a small walk gives what torch gives; a library of another kind would not."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(5, 3, generator=generator), torch.randn(7, 3, generator=generator)
    found = torch.empty(5, dtype=torch.float64)
    walk = kernels.walk(q, k)
    walk.scale, walk.row_sum, walk.threads = 1.0, found.data_ptr(), 1
    kernels.run("forward", walk)
    return torch.allclose(found, torch.exp2((q @ k.T).double()).sum(1), rtol=1e-5)


_forced: list[str] = []


def _wanted() -> str:
    wanted = _forced[-1] if _forced else os.environ.get("UNALIKE_BACKEND", "auto")
    if wanted not in CHOICES:
        raise SettingsError(
            f"backend {wanted!r} (UNALIKE_BACKEND or use_backend); expected one of {', '.join(CHOICES)}"
        )
    return wanted


def kernels() -> Kernels | None:
    """The kernels, set to the instruction set in use; None where the portable path is."""
    wanted = _wanted()
    if wanted == "portable":
        return None
    loaded = _load(LIBRARY)
    if isinstance(loaded, str):
        return None
    loaded.library.unalike_choose(LEVELS.get(wanted, 0))
    return loaded


def backend() -> str:
    """What computes the scores on a CPU: ``native (avx512)``, ``native (avx2)``, ``native (baseline)`` or ``portable``.

    The widest instruction set of the processor is taken. The environment variable ``UNALIKE_BACKEND`` or `use_backend`
    ask for another: auto, portable, baseline, avx2 or avx512; what the processor lacks is not taken.

    Example:
        >>> from unalike.objectives import backend, use_backend
        >>> with use_backend("portable"):
        ...     backend()
        'portable'
    """
    found = kernels()
    if found is None:
        return "portable"
    level = found.library.unalike_choose(LEVELS.get(_wanted(), 0))
    return f"native ({next(name for name, number in LEVELS.items() if number == level)})"


def why_portable() -> str | None:
    """Why the portable path is in use; None where it is not."""
    if _wanted() == "portable":
        return "asked for"
    loaded = _load(LIBRARY)
    return loaded if isinstance(loaded, str) else None


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use another backend inside of a ``with``: one of auto, portable, baseline, avx2, avx512.

    Example:
        >>> from unalike.objectives import backend, use_backend
        >>> with use_backend("portable"):
        ...     backend()
        'portable'
    """
    _forced.append(name)
    try:
        _wanted()
        yield
    finally:
        _forced.pop()
