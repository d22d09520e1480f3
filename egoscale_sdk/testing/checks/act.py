"""Action space: what a chunk means, judged by the definition written out in numpy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import Chunk
from egoscale_sdk.specs import ColumnSpec
from egoscale_sdk.testing.action_rows import Motion, motion, nine, pose, random_poses
from egoscale_sdk.testing.check import Violation, check
from egoscale_sdk.testing.subject import Subject

CLOSE = 1e-5  # m, rad, or an entry of a rotation: rows are stored in float32
IDENTITY = nine(np.eye(4))
GARBAGE = (np.nan, np.inf, -1e30, 7.0)
UNITS = (*get_args(ColumnSpec.model_fields["unit"].annotation), "1")


@check("ACT001", "must", mend="take names and units from the layout that the factory is given")
def columns_are_named(subject: Subject) -> str:
    """Every column of a chunk has a name of its own and a unit, in the order of the row."""
    space, layout = subject.action_space, subject.layout
    for what, found, expected in (("names", space.names, layout.names), ("units", space.units, layout.units)):
        if tuple(found) != expected:
            if len(found) != len(expected):
                raise Violation(f"{len(found)} {what} for {len(expected)} columns")
            at = next(at for at, (mine, right) in enumerate(zip(found, expected, strict=True)) if mine != right)
            raise Violation(f"{what}: column {at} is {found[at]!r}, in a row it is {expected[at]!r}")
    if len(set(space.names)) != len(space.names) or not set(space.units) <= set(UNITS):
        raise Violation(f"names of columns are distinct and their units among {', '.join(UNITS)}")
    return f"{len(space.names)} columns"


@check("ACT002", "must", mend="compute dW^k = (W^0)^-1 W^k from the measured wrist, and rot6d from the ROWS of R")
def chunks_follow_their_definition(subject: Subject) -> str:
    """A chunk holds each wrist as seen from where it was measured, and the hands as they are."""
    drawn = motion(subject)
    chunk = _encode(subject, drawn)
    off = _same(drawn, chunk.values, drawn.chunk(), "encoded")
    if not np.asarray(chunk.mask).all():
        raise Violation("the mask excludes columns although every row and every reference is valid")
    return f"within {off:.0e} over {drawn.rows.shape[0]} x {drawn.rows.shape[1]} rows"


@check("ACT003", "must", mend="let decode undo encode: W^k = W^0 dW^k, hands as they are")
def decoding_undoes_encoding(subject: Subject) -> str:
    """Decoding a chunk gives back the rows that it was made of."""
    drawn = motion(subject)
    rows = _decode(subject, drawn.chunk(), drawn.state)
    again = _decode(subject, np.asarray(_encode(subject, drawn).values), drawn.state)
    _same(drawn, again, drawn.rows, "encoded and decoded")
    return f"within {_same(drawn, rows, drawn.rows, 'decoded'):.0e}"


@check("ACT004", "must", mend="use relative poses only: no axis and no origin of the world may enter a chunk")
def the_world_may_move(subject: Subject) -> str:
    """A constant motion of the world leaves a chunk unchanged, and moves what is decoded with it."""
    here, motions = motion(subject), random_poses(np.random.default_rng(3), 3)
    values, off = _encode(subject, here).values, 0.0
    for T in motions:
        there = here.moved(T)
        off = max(off, _same(here, _encode(subject, there).values, values, "encoded in a moved world"))
        _same(here, _decode(subject, values, there.state), there.rows, "decoded in a moved world")
    return f"within {off:.0e} for {len(motions)} motions"


@check("ACT005", "must", mend="make zero motion the identity, and decode zeros to the measured wrist")
def standing_still_is_the_identity(subject: Subject) -> str:
    """A wrist that stays where it was measured is the identity, and a masked one is decoded to there."""
    drawn = motion(subject)
    still = drawn.rows.copy()
    for block in drawn.wrist_blocks().values():
        still[..., block] = drawn.state[:, None, block]
    values = _encode(subject, replace(drawn, rows=still)).values
    held = _decode(subject, np.zeros_like(still), drawn.state)
    for group, block in drawn.wrist_blocks().items():
        found = np.abs(values[..., block] - IDENTITY).max()
        if not found <= CLOSE:
            raise Violation(f"{group} stands still, and its chunk is {found:.3g} from the identity")
        found = np.abs(held[..., block] - drawn.state[:, None, block]).max()
        if not found <= CLOSE:
            raise Violation(f"{group} is masked (zeros), and is decoded to {found:.3g} from where it was measured")
    return ", ".join(drawn.wrist_blocks())


@check("ACT006", "must", mend="replace masked columns by zeros before computing: a product with the mask keeps a NaN")
def masked_columns_say_nothing(subject: Subject) -> str:
    """A masked column holds 0, and what stands in an invalid row changes nothing."""
    drawn, rng = motion(subject), np.random.default_rng(5)
    part = replace(drawn, valid=rng.random(drawn.valid.shape) < 0.6)
    mask = part.columns(part.valid)
    clean = _encode(subject, part)
    _same_mask(part, clean, mask)
    _same(part, clean.values, np.where(mask, part.chunk(), 0), "encoded with masked rows")
    for garbage in GARBAGE:
        with np.errstate(all="ignore"):
            dirty = _encode(subject, replace(part, rows=np.where(mask, part.rows, garbage)))
        _same_mask(part, dirty, mask)
        _same(part, dirty.values, clean.values, f"encoded with {garbage} in invalid rows")
    return f"{int((~mask).sum())} masked values, {', '.join(map(str, GARBAGE))} in them"


@check("ACT007", "must", mend="mask a wrist over the whole chunk where its reference is invalid, and nothing else")
def a_wrist_needs_its_reference(subject: Subject) -> str:
    """A wrist without a measured reference is masked over the whole chunk, and nothing else is."""
    drawn = motion(subject)
    wrists = list(drawn.wrist_blocks())
    for lost in wrists:
        state_valid = np.array([group in wrists and group != lost for group in drawn.layout.groups])
        expected = np.array([group != lost for group in drawn.layout.groups])
        for garbage in GARBAGE:
            state = np.where(drawn.columns(state_valid), drawn.state, garbage)
            part = replace(drawn, state=state, state_valid=np.broadcast_to(state_valid, drawn.state_valid.shape))
            with np.errstate(all="ignore"):
                chunk = _encode(subject, part)
            mask = np.broadcast_to(drawn.columns(expected), drawn.rows.shape)
            _same_mask(drawn, chunk, mask)
            _same(drawn, chunk.values, np.where(mask, drawn.chunk(), 0), f"encoded without a measured {lost}")
    return f"{', '.join(wrists)} in turn; of the state only wrists count"


@check("ACT008", "must", mend="re-orthonormalise rot6d after decoding; leave limits to the runtime's safety")
def decoding_mends_rotations_and_clips_nothing(subject: Subject) -> str:
    """Decoding makes a rotation of any six numbers that span one, and clips nothing."""
    drawn, rng = motion(subject), np.random.default_rng(9)
    chunk = drawn.chunk()
    scaled, noisy = chunk.copy(), chunk.copy()
    for block in drawn.wrist_blocks().values():
        scaled[..., block.start + 3 : block.stop] *= rng.uniform(0.3, 4.0, (*chunk.shape[:-1], 1))
        noisy[..., block.start + 3 : block.stop] += rng.normal(0, 0.1, (*chunk.shape[:-1], 6))
    _same(drawn, _decode(subject, scaled, drawn.state), drawn.rows, "decoded from a scaled rot6d")
    rows = _decode(subject, noisy, drawn.state)
    for group, block in drawn.wrist_blocks().items():
        R = pose(np.asarray(rows[..., block], np.float64))[..., :3, :3]
        worst = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max()
        if not worst <= CLOSE:
            raise Violation(f"{group} is decoded from a noisy rot6d to rows that are {worst:.3g} from a rotation's")
    far = _far(drawn)
    _same(drawn, _decode(subject, far.chunk(), drawn.state), far.rows, "decoded from far away")
    return "rot6d scaled by 0.3 to 4 and with noise of 0.1; targets of 10 m and 10 rad"


@check("ACT009", "must", mend="let the last two dimensions be steps and columns, and treat all others alike")
def any_batch_and_either_precision(subject: Subject) -> str:
    """Leading dimensions, an empty batch and float32 change no chunk, and no argument is changed."""
    drawn = motion(subject)
    whole = _encode(subject, drawn).values
    for shape in ((2, 2), (1, 4)):
        chunk = _encode(subject, drawn.each(partial(_reshaped, shape)))
        if chunk.values.shape != (*shape, *whole.shape[1:]):
            raise Violation(f"rows of leading dimensions {shape} give a chunk of shape {chunk.values.shape}")
        _same(drawn, chunk.values.reshape(whole.shape), whole, f"encoded in leading dimensions {shape}")
    for index in range(len(whole)):
        alone = drawn.each(itemgetter(index))
        _same(drawn, _encode(subject, alone).values, whole[index], "encoded alone")
        _same(drawn, _decode(subject, whole[index], alone.state), alone.rows, "decoded alone")
    empty = _encode(subject, drawn.each(itemgetter(slice(0))))
    if empty.values.shape != (0, *whole.shape[1:]):
        raise Violation(f"no rows give a chunk of shape {empty.values.shape}")
    single = replace(drawn, rows=drawn.rows.astype(np.float32), state=drawn.state.astype(np.float32))
    off = _same(drawn, _encode(subject, single).values, whole, "encoded from float32")
    _leaves_arguments(subject, drawn)
    return f"float32 within {off:.0e}"


def _encode(subject: Subject, part: Motion) -> Chunk:
    """Encode copies: a space that writes into its arguments must not spoil what other checks use."""
    return subject.action_space.encode(*(np.array(values) for values in _arguments(part).values()))


def _decode(subject: Subject, chunk: NDArray[np.floating], state: NDArray[np.floating]) -> NDArray[np.floating]:
    return subject.action_space.decode(np.array(chunk), np.array(state))


def _arguments(part: Motion) -> dict[str, NDArray[Any]]:
    return {"rows": part.rows, "valid": part.valid, "state": part.state, "state_valid": part.state_valid}


def _leaves_arguments(subject: Subject, drawn: Motion) -> None:
    """Refuse a space that writes into what it is given, NaN under masks and targets beyond every limit among it."""
    valid = np.random.default_rng(11).random(drawn.valid.shape) < 0.6
    far = _far(drawn)
    rows = np.where(far.columns(valid), far.rows, np.nan)
    state = np.where(far.columns(valid[:, 0]), far.state, np.nan)
    masked = Motion(far.layout, rows, state, valid, valid[:, 0])
    for part in (drawn, far, masked):
        chunk = part.chunk() if part is not masked else np.where(far.columns(valid), far.chunk(), 0)
        for name, given in {"encode": _arguments(part), "decode": {"chunk": chunk, "state": part.state}}.items():
            copies = {argument: np.array(values) for argument, values in given.items()}
            with np.errstate(all="ignore"):
                getattr(subject.action_space, name)(*copies.values())
            for argument, values in given.items():
                if not np.array_equal(copies[argument], values, equal_nan=True):
                    raise Violation(f"{name} changes the {argument} that it is given")


def _same(drawn: Motion, found: NDArray[np.floating], expected: NDArray[np.floating], how: str) -> float:
    """Return the largest difference; refuse one beyond `CLOSE`, and name its column and unit."""
    if np.shape(found) != np.shape(expected):
        raise Violation(f"rows {how} have shape {np.shape(found)}, not {np.shape(expected)}")
    off = np.nan_to_num(np.abs(np.asarray(found, np.float64) - expected), nan=np.inf, posinf=np.inf)
    columns = off.reshape(-1, off.shape[-1]).max(axis=0, initial=0)
    if (columns > CLOSE).any():
        at = int((columns > CLOSE).argmax())
        name, unit = drawn.layout.names[at], drawn.layout.units[at]
        size = f"{columns[at]:.3g}" if unit == "1" else f"{columns[at]:.3g} {unit}"
        raise Violation(f"column {name!r}, {how}, is {size} off")
    return float(columns.max(initial=0))


def _same_mask(drawn: Motion, chunk: Chunk, mask: NDArray[np.bool_]) -> None:
    if chunk.mask.shape != mask.shape:
        raise Violation(f"the mask has shape {chunk.mask.shape}, not {mask.shape}")
    wrong = (chunk.mask != mask).reshape(-1, mask.shape[-1]).any(axis=0)
    if wrong.any():
        name = drawn.layout.names[int(wrong.argmax())]
        raise Violation(f"the mask of column {name!r} does not follow from the validity of row and reference")
    if np.asarray(chunk.values)[~mask].any():
        raise Violation("a masked column holds something else than 0")


def _far(drawn: Motion) -> Motion:
    """Targets beyond every limit: wrists metres away, hands at +-10."""
    rows = np.where(drawn.rows < 0, -10.0, 10.0)
    for block in drawn.wrist_blocks().values():
        rows[..., block] = drawn.rows[..., block]
        rows[..., block.start : block.start + 3] *= 5
    return replace(drawn, rows=rows)


def _reshaped(shape: tuple[int, ...], values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(*shape, *values.shape[1:])
