"""Compiles the kernels when a wheel is built or the package is installed in place, where there is a C compiler.

Without one the package is pure Python and takes its portable path.
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/unalike/objectives/native"


class CompileKernels(BuildHookInterface):
    """Adds the compiled library to the wheel, and the platform to the wheel's name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        build = runpy.run_path(str(Path(self.root) / NATIVE / "build.py"))
        if not build["supported"]() or build["compiler"]() is None:
            self.app.display_warning("no C compiler for this system: installing without the fast path")
            return
        try:
            build["build"]()
        except RuntimeError as error:
            self.app.display_warning(f"the fast path did not compile and is left out:\n{error}")
            return
        build_data["artifacts"].append(f"/{NATIVE}/*.so")
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def clean(self, versions: list[str]) -> None:
        for library in (Path(self.root) / NATIVE).glob("*.so"):
            library.unlink()
