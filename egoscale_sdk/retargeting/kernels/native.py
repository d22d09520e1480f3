"""Framewise functions as compiled kernels: tensors in, tensors out."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from egoscale_sdk.retargeting.kernels.build import BuildError, build, say_once
from egoscale_sdk.retargeting.kernels.cpp import written
from egoscale_sdk.retargeting.kernels.trace import KINDS, Function, Input, TraceError, trace

DTYPES = {kind: dtype for dtype, kind in KINDS.items()}
ALONE = 1024  # frames per thread below which another thread costs more than it saves
LAYOUTS = {-1: 0, 0: 1, None: 2}


class Operand(ctypes.Structure):
    """One input or output; see `prelude.h`."""

    _fields_ = [(name, ctypes.c_int64) for name in ("data", "row", "size", "bytes", "layout")]


class Kernel:
    """A framewise function, compiled: called with CPU tensors as `inputs` says, returns its outputs, frames last.

    Args:
        function: See `trace`.
        inputs: What it is called with.

    Raises:
        TraceError: it is not framewise, or does what is not known.
        BuildError: nothing can be compiled here.
    """

    def __init__(self, function: Function, inputs: Sequence[Input]) -> None:
        self.inputs = tuple(inputs)
        program = trace(function, inputs)
        text = written("kernel", program)
        self._run = build(text.text).kernel
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
        self._run.restype = None
        self._constants = [
            torch.tensor(table or [0.0], dtype=dtype)
            for table, dtype in zip(text.constants, (torch.float32, torch.float64), strict=True)
        ]
        self._outputs = [(shape, DTYPES[kind]) for shape, kind in zip(program.shapes, program.kinds, strict=True)]

    def __call__(self, *given: Tensor) -> list[Tensor]:
        """Return the outputs ``(*shape, N)``."""
        pairs = [(_laid_out(spec, tensor), spec) for spec, tensor in zip(self.inputs, given, strict=True)]
        frames = next(t.shape[spec.frames] for t, spec in pairs if spec.frames is not None)
        outputs = [torch.empty(*shape, frames, dtype=dtype) for shape, dtype in self._outputs]
        operands = [_operand(t, spec.frames) for t, spec in pairs]
        operands += [_operand(table, None) for table in self._constants]
        operands += [_operand(output, -1) for output in outputs]
        threads = max(1, min(torch.get_num_threads(), frames // ALONE))
        self._run((Operand * len(operands))(*operands), frames, threads)
        return outputs


def _laid_out(spec: Input, tensor: Tensor) -> Tensor:
    if _spec(tensor, spec.frames) != spec:
        raise ValueError(f"a kernel's input is {spec.shape} {spec.dtype}, got {tuple(tensor.shape)} {tensor.dtype}")
    return tensor.contiguous()


def _operand(tensor: Tensor, frames: int | None) -> Operand:
    count = 1 if frames is None else tensor.shape[frames]
    size = tensor.numel() // count if count else 0
    row = size if frames == 0 else count
    return Operand(tensor.data_ptr(), row, size, tensor.element_size(), LAYOUTS[frames])


class Framewise:
    """A framewise function that runs as a kernel, built for the shapes that it is called with, or else as it is.

    Args:
        function: See `trace`; also what runs where no kernel can be had, which one line in the log tells.
        frames: Per argument the dimension that counts frames, 0 or -1; None if all frames share it.
    """

    def __init__(self, function: Function, frames: Sequence[int | None]) -> None:
        self._function, self._frames = function, tuple(frames)
        self._kernels: dict[tuple[Input, ...], Kernel | None] = {}

    def __call__(self, *given: Tensor) -> list[Tensor]:
        """Return the outputs."""
        inputs = tuple(_spec(*one) for one in zip(given, self._frames, strict=True))
        if inputs not in self._kernels:
            self._kernels[inputs] = self._built(inputs)
        kernel = self._kernels[inputs]
        if kernel is not None and all(tensor.is_cpu for tensor in given):
            return kernel(*given)
        found = self._function(*given)
        return [found] if isinstance(found, Tensor) else list(found)

    def _built(self, inputs: tuple[Input, ...]) -> Kernel | None:
        try:
            return Kernel(self._function, inputs)
        except (TraceError, BuildError) as error:
            say_once(str(error))
            return None


def _spec(tensor: Tensor, frames: int | None) -> Input:
    shape = tensor.shape if frames is None else tensor.shape[1:] if frames == 0 else tensor.shape[:-1]
    return Input(tuple(shape), tensor.dtype, frames)
