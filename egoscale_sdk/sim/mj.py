"""The one place that imports MuJoCo, which reads ``MUJOCO_GL`` once, at its first import, whoever imports it first."""

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


def prepare_gl() -> None:
    """Give MuJoCo's renderer EGL where another package imported MuJoCo before anyone had chosen.

    Raises:
        ImportError, AttributeError: there is no EGL here.
    """
    mujoco()
    if "MUJOCO_GL" not in os.environ:
        from mujoco.egl import GLContext
        from mujoco.rendering.classic import gl_context

        gl_context.GLContext = GLContext
