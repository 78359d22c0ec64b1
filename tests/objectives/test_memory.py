"""Memory grows with the batch and not with its square, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unalike.objectives import native

SCRIPT = """
import sys
from pathlib import Path
import torch
from unalike.objectives import clip, info_nce, nt_xent, sup_con

name, batch, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
loss = {
    "clip": lambda a, b: clip(a, b, logit_scale=10.0),
    "nt_xent": lambda a, b: nt_xent(a, b, temperature=0.1),
    "info_nce": lambda a, b: info_nce(a, b, temperature=0.1),
    "sup_con": lambda a, b: sup_con(a, torch.arange(len(a)) % 100, temperature=0.1) + 0 * b.sum(),
}[name]

def mib(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024

def vectors(rows):
    generator = torch.Generator().manual_seed(rows)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=1).requires_grad_()

loss(vectors(64), vectors(64)).backward()
a, b = vectors(batch), vectors(batch)
Path("/proc/self/clear_refs").write_text("5")
before = mib("VmRSS")
loss(a, b).backward()
print(mib("VmHWM") - before)
"""


def extra_mib(name: str, batch: int, width: int, backend: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(batch), str(width)],
        env={**os.environ, "UNALIKE_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def allowed_mib(batch: int, width: int) -> float:
    return 64 + 12 * batch * width * 4 / 2**20


linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")


@linux
@pytest.mark.parametrize("name", ["clip", "nt_xent", "info_nce", "sup_con"])
def test_portable(name):
    assert extra_mib(name, 8192, 16, "portable") <= allowed_mib(8192, 16)


@linux
@pytest.mark.skipif(native.kernels() is None, reason=f"portable: {native.why_portable()}")
@pytest.mark.parametrize(
    ("name", "batch", "width"),
    [
        ("clip", 65536, 8),
        ("info_nce", 65536, 8),
        ("sup_con", 65536, 8),
        ("nt_xent", 32768, 8),
        ("clip", 8192, 256),
        ("sup_con", 8192, 512),
    ],
)
def test_native(name, batch, width):
    assert extra_mib(name, batch, width, "auto") <= allowed_mib(batch, width)


@linux
@pytest.mark.slow
@pytest.mark.in_turn("src/unalike/objectives/")
@pytest.mark.skipif(native.kernels() is None, reason=f"portable: {native.why_portable()}")
@pytest.mark.parametrize("name", ["nt_xent", "clip"])
def test_native_at_full_size(name):
    assert extra_mib(name, 65536, 64, "auto") <= allowed_mib(65536, 64)
