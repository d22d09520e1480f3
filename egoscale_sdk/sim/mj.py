"""The one place that imports MuJoCo, which reads ``MUJOCO_GL`` once, at its first import."""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library
from types import ModuleType

from egoscale_sdk.errors import require_extra


def mujoco() -> ModuleType:
    """Import MuJoCo, with EGL for rendering if that library is installed and without any GL otherwise.

    Raises:
        MissingExtraError: the extra ``sim`` is not installed.
    """
    require_extra("mujoco", "sim", "simulation")
    if "mujoco" not in sys.modules and "MUJOCO_GL" not in os.environ:
        os.environ["MUJOCO_GL"] = "egl" if find_library("EGL") else "disabled"
    import mujoco as module

    return module  # type: ignore[no-any-return]  # MuJoCo is not followed by the type checker
