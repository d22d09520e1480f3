"""Tracing: run a torch function on numbers that are not known yet and see what it does to one frame.

A traced tensor holds, instead of values, the numbers of values (`Scalars`), as an int64 tensor. What only moves
elements (views, stacks, indexing) torch itself does to these; sums and elementwise functions are written down. Two
frames are traced, and what the first frame's results are made of must be the first frame's: that is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from egoscale_sdk.retargeting.kernels.scalars import Kind, Scalars

Function = Callable[..., Tensor | Sequence[Tensor]]
KINDS: dict[torch.dtype, Kind] = {torch.float32: "f32", torch.float64: "f64", torch.bool: "bool"}
FRAMES = 2  # traced: one whose program is kept, and one that it must not depend on


class TraceError(Exception):
    """A function does what no program of one frame can do; says what."""


@dataclass(frozen=True)
class Input:
    """One input of a framewise function.

    Attributes:
        shape: Without the frames.
        dtype: Its type.
        frames: Dimension that counts frames, 0 or -1; None if all frames share it.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    frames: int | None = -1

    @property
    def size(self) -> int:
        """Elements per frame."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Program:
    """What a function does to one frame.

    Attributes:
        scalars: All numbers.
        inputs: What it reads.
        outputs: Per output the numbers that it is made of, in order.
        shapes: Per output its shape without the frames, which come last.
        kinds: Per output its type.
    """

    scalars: Scalars
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[int, ...], ...]
    kinds: tuple[Kind, ...]

    def order(self) -> list[int]:
        """All numbers that are needed, operands first."""
        return self.scalars.needed(at for output in self.outputs for at in output)


def trace(function: Function, inputs: Sequence[Input]) -> Program:
    """Return the program of a framewise function whose outputs have their frames last.

    Raises:
        TraceError: it mixes frames, or does what is not known here.
    """
    scalars = Scalars()
    given = [_input(scalars, number, spec) for number, spec in enumerate(inputs)]
    with torch.no_grad():
        found = function(*given)
    results = [found] if isinstance(found, Tensor) else list(found)
    ids = [_ids(result, scalars, result.dtype)[..., 0] for result in results]
    program = Program(
        scalars,
        tuple(inputs),
        outputs=tuple(tuple(i.flatten().tolist()) for i in ids),
        shapes=tuple(tuple(i.shape) for i in ids),
        kinds=tuple(KINDS[result.dtype] for result in results),
    )
    _refuse_other_frames(program)
    return program


def _refuse_other_frames(program: Program) -> None:
    for at in program.order():
        operation = program.scalars.operations[at]
        if operation.name == "input" and operation.arguments[1] >= program.inputs[operation.arguments[0]].size:
            raise TraceError("a frame's result depends on another frame")


def _input(scalars: Scalars, number: int, spec: Input) -> Traced:
    """Elements of frame 0 are numbered 0 .. size - 1, those of frame 1 go on from there."""
    frames, kind = 1 if spec.frames is None else FRAMES, _kind(spec.dtype)
    ids = torch.tensor([scalars.input(number, e, kind) for e in range(frames * spec.size)]).long()
    if spec.frames is None:
        return Traced(ids.reshape(spec.shape), spec.dtype, scalars)
    ids = ids.reshape(FRAMES, *spec.shape)
    return Traced(ids if spec.frames == 0 else ids.movedim(0, -1), spec.dtype, scalars)


class Traced(Tensor):
    """A tensor of numbers that are not known yet."""

    ids: Tensor
    scalars: Scalars

    @staticmethod
    def __new__(cls: type[Traced], ids: Tensor, dtype: torch.dtype, scalars: Scalars) -> Traced:
        """Wrap the numbers of values, of any shape."""
        made: Traced = torch.Tensor._make_wrapper_subclass(cls, ids.shape, dtype=dtype)
        made.ids, made.scalars = ids, scalars
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do to the numbers' numbers what ``func`` does to tensors."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in COMPOSED:
            return COMPOSED[name](*args, **kwargs)
        like = func(*tree_map(_meta, args), **tree_map(_meta, kwargs))
        if name in NEW:
            return func(*tree_map(_zeros, args), **kwargs)
        scalars = next(leaf.scalars for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Traced))
        if name in MOVES:
            return _moved(scalars, func, like, args, kwargs)
        if name in REDUCED:
            return Traced(_reduced(scalars, name, like, *args, **kwargs), like.dtype, scalars)
        if name in POINTWISE:
            return Traced(_pointwise(scalars, name, like, args), like.dtype, scalars)
        raise TraceError(f"{func} is not known")


NEW = {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}
MOVES = {
    *("select", "slice", "unbind", "stack", "cat", "unsqueeze", "squeeze", "permute", "transpose", "t", "expand"),
    *("view", "_unsafe_view", "reshape", "index", "index_select", "gather", "flip", "clone", "detach", "alias"),
    *("split", "repeat", "movedim", "diagonal", "contiguous"),
}
REDUCED = {"sum": "add", "mean": "add", "amin": "min", "amax": "max", "all": "and", "any": "or"}
POINTWISE = {
    **{"add": "add", "sub": "sub", "mul": "mul", "div": "div", "neg": "neg", "abs": "abs", "sqrt": "sqrt"},
    **{"sin": "sin", "cos": "cos", "log": "log", "exp": "exp", "minimum": "min", "maximum": "max", "where": "where"},
    **{"lt": "lt", "le": "le", "eq": "eq", "logical_and": "and", "logical_or": "or", "logical_not": "not"},
    **{"bitwise_and": "and", "bitwise_or": "or", "bitwise_not": "not", "_to_copy": "convert"},
}
"""Function of `scalars.FUNCTIONS` by the name of torch's."""


def _cross(a: Tensor, b: Tensor, dim: int = -1) -> Tensor:
    (ax, ay, az), (bx, by, bz) = a.unbind(dim), b.unbind(dim)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim)


def _clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    for function, bound in ((torch.maximum, min), (torch.minimum, max)):
        if bound is not None:
            x = function(x, bound if isinstance(bound, Tensor) else torch.full_like(x, bound))
    return x


def _nan_to_num(x: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    ends = torch.finfo(x.dtype)
    low, high = ends.min if neginf is None else neginf, ends.max if posinf is None else posinf
    known = torch.where(x == x, x, nan or 0.0)
    return torch.where(known == math.inf, high, torch.where(known == -math.inf, low, known))


def _pow(x: Tensor, exponent: Any) -> Tensor:
    if exponent != 2:
        raise TraceError(f"power {exponent} is not known")
    return x * x


# Functions that others make up; what they call is traced in turn.
COMPOSED: dict[str, Callable[..., Tensor]] = {
    "addcmul": lambda c, a, b, value=1: c + a * b if value == 1 else c - a * b if value == -1 else c + value * (a * b),
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low),
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "ge": lambda a, b: torch.le(b if isinstance(b, Tensor) else torch.full_like(a, b), a),
    "gt": lambda a, b: torch.lt(b if isinstance(b, Tensor) else torch.full_like(a, b), a),
    "ne": lambda a, b: ~(a == b),
    "isnan": lambda x: x != x,
    "linalg_cross": _cross,
    "masked_fill": lambda x, mask, value: torch.where(mask, value, x),
    "nan_to_num": _nan_to_num,
    "pow": _pow,
    "square": lambda x: x * x,
    "reciprocal": lambda x: torch.ones_like(x) / x,
    "rsub": lambda a, b, alpha=1: torch.full_like(a, b) - (a if alpha == 1 else a * alpha),
}


def _meta(x: Any) -> Any:
    return torch.empty(x.shape, dtype=x.dtype, device="meta") if isinstance(x, Tensor) else x


def _zeros(x: Any) -> Any:
    return torch.zeros(x.shape, dtype=x.dtype) if isinstance(x, Traced) else x


def _kind(dtype: torch.dtype) -> Kind:
    if dtype not in KINDS:
        raise TraceError(f"{dtype} is not known")
    return KINDS[dtype]


def _ids(x: Any, scalars: Scalars, dtype: torch.dtype) -> Tensor:
    """The numbers of values in a type."""
    kind = _kind(dtype)
    if isinstance(x, Traced):
        return x.ids if x.dtype == dtype else _each(partial(scalars.put, "convert", kind), x.ids)
    known = torch.as_tensor(x)
    return torch.tensor([scalars.literal(v, kind) for v in known.flatten().tolist()]).long().reshape(known.shape)


def _each(function: Callable[..., int], *ids: Tensor) -> Tensor:
    shape = np.broadcast_shapes(*(tuple(part.shape) for part in ids))
    whole = [part.expand(shape) for part in ids]
    made = [function(*one) for one in zip(*(part.flatten().tolist() for part in whole), strict=True)]
    return torch.tensor(made).long().reshape(shape)


def _moved(scalars: Scalars, func: Any, like: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    data, *rest = args  # what is moved; anything else, such as an index, must be known
    if any(isinstance(leaf, Traced) for leaf in tree_leaves((rest, kwargs))):
        raise TraceError(f"{func} with an index that is not known")
    dtype = tree_leaves(like)[0].dtype
    ids = tree_map(lambda x: _ids(x, scalars, dtype) if isinstance(x, Tensor) else x, data)
    return tree_map(lambda x: Traced(x, dtype, scalars), func(ids, *rest, **kwargs))


def _pointwise(scalars: Scalars, name: str, like: Tensor, args: tuple[Any, ...]) -> Tensor:
    operation, dtypes = POINTWISE[name], [like.dtype] * len(args)
    if operation in ("lt", "le", "eq"):
        dtypes = [torch.result_type(*map(_meta, args))] * 2
    if operation == "where":
        dtypes[0] = torch.bool
    if operation == "convert":
        return _ids(args[0], scalars, like.dtype)
    operands = [_ids(x, scalars, dtype) for x, dtype in zip(args, dtypes, strict=True)]
    return _each(partial(scalars.put, operation, KINDS[like.dtype]), *operands)


def _reduced(
    scalars: Scalars, name: str, like: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    ids, put = _ids(x, scalars, like.dtype), partial(scalars.put, REDUCED[name], KINDS[like.dtype])
    dims = range(ids.ndim) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    rows = ids.movedim([d % ids.ndim for d in dims], list(range(len(dims)))).flatten(0, len(dims) - 1)
    total = reduce(lambda a, b: _each(put, a, b), rows.unbind())
    if name == "mean":
        share = scalars.literal(1 / len(rows), KINDS[like.dtype])
        total = _each(lambda a: scalars.put("mul", KINDS[like.dtype], a, share), total)
    return total.reshape(like.shape)
