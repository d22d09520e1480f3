"""Which finger is which, and which hand it is: by geometry, with what names say beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import rotation_angle
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.posture import Motion, degrees_between, unit
from egoscale_sdk.scaffold.words import ROLE_WORDS
from egoscale_sdk.specs import Side

ROLES = tuple(ROLE_WORDS)
_CLEAR_MARGIN = 0.3  # of the score of the odd one out over the next
_CLEAR_OFFSET_M = 0.005
_CLEAR_SHARE = 0.1
_NEARLY_SQUARE_RAD = np.radians(10)
_VAGUE = 0.2  # one-sidedness of joint ranges below which they do not say which way fingers close


@dataclass(frozen=True)
class Named:
    """What a person or names say: ``side`` as asked for, ``side_spoken`` in names, ``roles`` per finger in names."""

    chains: tuple[str, ...]
    roles: tuple[str | None, ...]
    side_spoken: Side | None
    spoken: int
    side: Side | None


@dataclass(frozen=True)
class Roles:
    """The answer: fingers in the order thumb, index, middle, ..; the side; axes x y z of the wrist frame as columns."""

    order: tuple[int, ...]
    side: Side
    axes: NDArray[np.float64]
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...] = ()


def assign_roles(motions: Sequence[Motion], named: Named) -> Roles:
    """Tell the thumb from the fingers, the palm from the back, left from right, index from the last finger.

    Args:
        motions: How each finger closes, N >= 2 of them.
        named: What names and the user say.
    """
    thumb, thumb_guess, doubt = _thumb(motions, named)
    others = [number for number in range(len(motions)) if number != thumb]
    axes, palm_guess = _axes(motions, thumb, others)
    side, axes, side_guess, side_doubt = _side(motions, named, thumb, others, axes)
    row = _thumb_side(motions, thumb, others, axes[:, 1], side_guess)
    order, order_guess, order_doubt = _order(motions, named, others, row)
    guesses = [replace(guess, what=f"{side} hand: {guess.what}") for guess in (thumb_guess, palm_guess, order_guess)]
    questions = tuple(question for question in (side_doubt, doubt, order_doubt) if question)
    return Roles((thumb, *order), side, axes, (side_guess, *guesses), questions)


def _thumb(motions: Sequence[Motion], named: Named) -> tuple[int, Guess, str]:
    """The thumb; with a question where names contradict a clear geometry."""
    scores = [_oddness(motions, number) for number in range(len(motions))]
    ranked = sorted(range(len(motions)), key=lambda number: -scores[number][0])
    best, margin = ranked[0], scores[ranked[0]][0] - scores[ranked[1]][0]
    spoken = [number for number, role in enumerate(named.roles) if role == "thumb"]
    clear, doubt = margin > _CLEAR_MARGIN, ""
    if len(spoken) == 1 and spoken[0] != best:
        sure = not clear
        evidence = f"so its names say; geometry alone does not tell ({scores[spoken[0]][1]})"
        if clear:
            evidence = f"so its names say; by geometry it would be {named.chains[best]}: {scores[best][1]}"
            doubt = (
                f"fingers: names call {named.chains[spoken[0]]} the thumb, but by geometry it would be "
                f"{named.chains[best]}: {scores[best][1]}; which is it? (the names are followed until then)"
            )
        best = spoken[0]
    else:
        evidence, sure = scores[best][1], clear or bool(spoken)
        if spoken:
            evidence += "; its names say so, too"
        elif not clear:
            evidence += f"; close to {named.chains[ranked[1]]}: {scores[ranked[1]][1]}"
    return best, Guess("thumb", f"chain {named.chains[best]}", evidence, sure), doubt


def _oddness(motions: Sequence[Motion], number: int) -> tuple[float, str]:
    """How much a finger differs from the others, beyond how they differ among themselves; and that in words."""
    others = [motion for index, motion in enumerate(motions) if index != number]
    own = motions[number]
    points = _difference([degrees_between(own.direction, o.direction) for o in others], others, "direction")
    turns = _difference([degrees_between(own.axis, o.axis) for o in others], others, "axis")
    ahead = unit(np.mean([o.direction for o in others], axis=0))
    length = float(np.mean([np.linalg.norm(o.tip - o.base) for o in others]))
    behind = float((np.mean([o.base for o in others], axis=0) - own.base) @ ahead)
    score = points / 90 + turns / 90 + float(np.clip(behind / max(length, 1e-9), -1, 1))
    words = (
        f"it points {points:+.0f} deg and bends about an axis {turns:+.0f} deg off the others, more than they "
        f"differ among themselves, and starts {1e3 * behind:.0f} mm behind them"
    )
    return score, words


def _difference(own: Sequence[float], others: Sequence[Motion], what: str) -> float:
    among = [degrees_between(getattr(a, what), getattr(b, what)) for a, b in combinations(others, 2)]
    return float(np.mean(own) - (np.mean(among) if among else 0.0))


def _axes(motions: Sequence[Motion], thumb: int, others: Sequence[int]) -> tuple[NDArray[np.float64], Guess]:
    """Axes of the wrist frame: z along the fingers, x to where they close, which is out of the palm."""
    z = unit(np.mean([motions[number].direction for number in others], axis=0))
    closing = np.mean([motions[number].closing for number in others], axis=0)
    certainty = float(np.mean([motions[number].certainty for number in others]))
    across = closing - (closing @ z) * z
    to_thumb = motions[thumb].tip - np.mean([motions[number].tip for number in others], axis=0)
    to_thumb = to_thumb - (to_thumb @ z) * z
    if np.linalg.norm(across) < 0.3:
        across, evidence = to_thumb, "fingers close in different directions; the side on which the thumb is"
        certainty = 0.0
    else:
        evidence = f"fingers close to that side; their joints' ranges are {100 * certainty:.0f} percent one-sided"
        if certainty < _VAGUE and across @ to_thumb < 0:
            across, evidence = -across, f"{evidence}, so the thumb's side is taken"
    x = unit(across) if np.linalg.norm(across) > 1e-6 else _any_across(z)
    axes = _squared(np.stack([x, np.cross(z, x), z], axis=-1))
    return axes, Guess("palm", f"looks along {_vector(axes[:, 0])} of the root", evidence, sure=certainty > _VAGUE)


def _any_across(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return unit(np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z))


def _side(
    motions: Sequence[Motion], named: Named, thumb: int, others: Sequence[int], axes: NDArray[np.float64]
) -> tuple[Side, NDArray[np.float64], Guess, str]:
    """Left or right: what is asked for goes first, then names, then geometry; a question where they disagree."""
    seen, evidence = _seen_side(motions, named, thumb, others, axes[:, 1])
    told = named.side or named.side_spoken
    if told is None:
        return seen or "right", axes, Guess("side", seen or "right", evidence, sure=seen is not None), ""
    if seen not in (told, None) and min(motions[number].certainty for number in others) < _VAGUE:
        axes = axes * np.array([-1.0, -1.0, 1.0])  # ranges did not say which way it closes; the side does
        evidence, seen = "the palm is taken to be on the side that agrees", told
    count = f"{named.spoken} of its names {'say' if named.spoken > 1 else 'says'} so"
    how = "as asked for" if named.side else count
    if seen in (told, None):
        return told, axes, Guess("side", told, f"{how}; {evidence}", sure=True), ""
    why = "was asked for" if named.side else "is what its names say"
    question = f"side: {told} {why}, but {evidence}; which is it? (if {seen}: write the plugin anew with --side {seen})"
    return told, axes, Guess("side", told, f"{how}, but {evidence}"), question


def _seen_side(
    motions: Sequence[Motion], named: Named, thumb: int, others: Sequence[int], y: NDArray[np.float64]
) -> tuple[Side | None, str]:
    """The side by geometry, if it tells, and how: the thumb, or the index finger so named, is on +y of a right hand."""
    offset, clear = _thumb_offset(motions, thumb, others, y)
    what = "its thumb lies {:.0f} mm to the side where a {} hand has it"
    if not clear and (named_offset := _named_order(motions, named, others, y)) is not None:
        offset, clear = named_offset, True
        what = "its index finger lies {:.0f} mm from its last one to the side where a {} hand has it, by their names"
    if not clear:
        return None, "geometry does not tell: thumb and fingers are symmetric"
    seen: Side = "right" if offset > 0 else "left"
    return seen, what.format(abs(1e3 * offset), seen)


def _thumb_offset(
    motions: Sequence[Motion], thumb: int, others: Sequence[int], y: NDArray[np.float64]
) -> tuple[float, bool]:
    """How far the thumb lies along y beside the middle of the others, and whether that is clear."""
    row = [float(_middle(motions[number]) @ y) for number in others]
    offset = float(_middle(motions[thumb]) @ y) - float(np.mean(row))
    return offset, abs(offset) > max(_CLEAR_OFFSET_M, _CLEAR_SHARE * float(np.ptp(row)))


def _named_order(
    motions: Sequence[Motion], named: Named, others: Sequence[int], y: NDArray[np.float64]
) -> float | None:
    """How far along y the finger with the first role lies beside that with the last, where names give roles."""
    known = sorted((ROLES.index(role), number) for number in others if (role := named.roles[number]) is not None)
    if len({role for role, _ in known}) < 2:
        return None
    offset = float((_middle(motions[known[0][1]]) - _middle(motions[known[-1][1]])) @ y)
    return offset if abs(offset) > _CLEAR_OFFSET_M else None


@dataclass(frozen=True)
class _Row:
    """From where the fingers are counted: ``toward`` the thumb, how that is known, and whether it is sure."""

    toward: NDArray[np.float64]
    start: str
    sure: bool


def _thumb_side(
    motions: Sequence[Motion], thumb: int, others: Sequence[int], y: NDArray[np.float64], side: Guess
) -> _Row:
    """The side of the fingers' row on which the thumb is, where that is clear; else where the hand's side has it."""
    offset, clear = _thumb_offset(motions, thumb, others, y)
    if clear:
        return _Row(y * np.sign(offset), "from the thumb's side", side.sure)
    toward = y if side.value == "right" else -y
    return _Row(toward, f"from where a {side.value} hand has its thumb", side.sure)


def _order(
    motions: Sequence[Motion], named: Named, others: Sequence[int], row: _Row
) -> tuple[tuple[int, ...], Guess, str]:
    """Order the fingers from the thumb's side; names go first, with a question where geometry is clear and differs."""
    place = {number: float(_middle(motions[number]) @ row.toward) for number in others}
    order = sorted(others, key=lambda number: -place[number])
    steps = ", ".join(f"{1e3 * (place[order[0]] - place[number]):.0f}" for number in order)
    evidence, doubt = f"they lie {steps} mm from the first, counted {row.start}", ""
    apart = len(order) < 2 or min(place[a] - place[b] for a, b in pairwise(order)) >= 1e-3
    sure = apart and row.sure
    names = [named.roles[number] for number in others]
    if None not in names and "thumb" not in names and len(set(names)) == len(names):
        spoken = sorted(others, key=lambda number: ROLES.index(named.roles[number] or ""))
        if spoken == order:
            evidence, sure = f"{evidence}; their names say so, too", apart
        else:
            found = ", ".join(named.chains[number] for number in order)
            evidence = f"so their names say; by geometry, counted {row.start}, they would be {found}"
            doubt = f"fingers: the names of the fingers count otherwise than geometry, by which they would be {found}, "
            doubt = f"{doubt}counted {row.start}; which is right? (the names are followed until then)" * sure
            sure = not sure
        order = spoken
    value = ", ".join(f"{role} = {named.chains[number]}" for role, number in zip(ROLES[1:], order, strict=False))
    return tuple(order), Guess("fingers", value, evidence, sure), doubt


def _middle(motion: Motion) -> NDArray[np.float64]:
    return (motion.base + motion.tip) / 2


def _vector(v: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{round(float(value), 2) + 0.0:.2f}' for value in v)})"


def _squared(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return axes that are within 10 degrees of the root's as the root's, as a maker means them; others as they are."""
    square = np.round(axes)
    near = abs(np.linalg.det(square) - 1) < 1e-9 and float(rotation_angle(square, axes)) < _NEARLY_SQUARE_RAD
    return square if near else axes
