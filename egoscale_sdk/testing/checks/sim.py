"""Simulation: what the model that MuJoCo makes of a hand's spec does, judged by the kit's own kinematics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.sim.hand_bench import HandBench
from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.check import Need, NotApplicable, Violation, check
from egoscale_sdk.testing.grip import Grip, grip, inwards, links_of_fingers
from egoscale_sdk.testing.links import below, rigid_part
from egoscale_sdk.testing.numpy_body import Array, configurations, matrix
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.testing.urdf_figures import urdf_masses

BODIES: set[Need] = {"bodies"}
EXACT_M = 1e-6  # of metres and of entries of a rotation
SETTLED = {"rad": 0.03, "m": 1e-3}
MOVE_S, SETTLE_S = 0.5, 0.75
OVERLAP_M, SHORT_M = 5e-3, 15e-3
URDF_FACTOR = 1.5  # a URDF may leave out cables and covers, or carry an adapter
MASS_KG, MASS_SHARE, FRAMES_KG = (0.02, 10.0), 0.02, 5e-3


@check("SIM001", "must", needs=BODIES, mend="list every movable joint of the URDF under joints, followers with mimic")
def simulated_links_agree(subject: Subject) -> str:
    """Every hand becomes a MuJoCo model whose links are where the URDF has them."""
    worst = 0.0
    for hand in _simulated(subject):
        bench, T_wrist_root = _bench(hand), np.linalg.inv(matrix(hand.T_root_wrist))
        for q in configurations(hand.actuated, 8):
            bench.place(q)
            values = dict(zip([joint.name for joint in hand.actuated], q.tolist(), strict=True))
            truth = subject.oracles[hand.side].poses(values)
            for link, pose in bench.link_poses().items():
                off = float(np.abs(pose - T_wrist_root @ truth[link]).max())
                if not off <= EXACT_M:
                    raise Violation(f"{hand.side} hand: link {link!r} is {off:.3g} (m, or 1) off in simulation")
                worst = max(worst, off)
    return f"within {worst:.0e} at 8 configurations of each hand"


@check(
    "SIM002", "must", needs=BODIES, mend="give the named joint kp, damping and armature under dynamics, and its effort"
)
def servos_reach_their_targets(subject: Subject) -> str:
    """Simulated servos hold the open pose, reach targets in the middle of the range, and followers follow."""
    worst = {"rad": 0.0, "m": 0.0}
    for hand in _simulated(subject):
        bench, opened = _bench(hand), _open(hand)
        bench.place(opened)
        bench.drive(opened, SETTLE_S)
        _settled(bench, opened, "the open pose", worst)
        lower, upper = configurations(hand.actuated, 2)
        for share in np.random.default_rng(2).uniform(0.25, 0.75, (3, len(lower))):
            target = lower + share * (upper - lower)
            bench.drive(target, MOVE_S)
            bench.drive(target, SETTLE_S)
            _settled(bench, target, "a target in the middle of the range", worst)
    return f"within {worst['rad']:.2g} rad and {1e3 * worst['m']:.2g} mm"


@check("SIM003", "must", needs=BODIES, mend="state mass_kg of one hand, in kilograms")
def hands_weigh_what_they_should(subject: Subject) -> str:
    """A simulated hand weighs what its spec says, and what a hand can weigh."""
    figures = []
    for hand in _simulated(subject):
        if hand.mass_kg is None:
            continue
        found = _bench(hand).mass_kg
        if abs(found - hand.mass_kg) > MASS_SHARE * hand.mass_kg + FRAMES_KG:
            raise Violation(
                f"the {hand.side} hand weighs {found:.4g} kg in simulation, its spec says {hand.mass_kg:.4g} kg"
            )
        if not MASS_KG[0] <= found <= MASS_KG[1]:
            raise Violation(
                f"the {hand.side} hand weighs {found:.4g} kg; a hand weighs {MASS_KG[0]} to {MASS_KG[1]} kg"
            )
        stated = _mass_of_urdf(hand)
        if stated and not stated / URDF_FACTOR <= hand.mass_kg <= stated * URDF_FACTOR:
            raise Violation(
                f"mass_kg of the {hand.side} hand is {hand.mass_kg:.4g}, the links of {hand.urdf} weigh {stated:.4g} kg"
            )
        urdf = f", URDF {stated:.3f} kg" if stated else ""
        figures.append(f"{hand.side} {found:.3f} kg{urdf}")
    if not figures:
        raise NotApplicable("no hand states mass_kg")
    return ", ".join(figures)


@check("SIM004", "should", needs=BODIES, mend="shorten or thin the bodies of the two links")
def bodies_keep_apart(subject: Subject) -> str:
    """At the open pose no body is deep in another one that is not its neighbour."""
    deepest = 0.0
    for hand in _simulated(subject):
        bench = _bench(hand)
        bench.place(_open(hand))
        for (one, other), depth in bench.overlaps().items():
            if _neighbours(hand, one, other):
                continue
            deepest = max(deepest, depth)
            if depth > OVERLAP_M:
                raise Violation(f"{hand.side} hand: bodies of {one!r} and {other!r} overlap by {1e3 * depth:.3g} mm")
    return f"at most {1e3 * deepest:.2g} mm"


@check("SIM005", "should", needs=BODIES, mend="look at bodies of the fingertips, dynamics and effort")
def fingers_touch_a_ball(subject: Subject) -> str:
    """Closing on a ball between thumb and fingers, two fingers or more touch it."""
    figures = []
    for hand in _simulated(subject):
        closed = grip(hand, subject.oracles[hand.side], _open(hand))
        bench = _bench(hand, closed)
        bench.place(_open(hand))
        bench.drive(closed.q, 2 * MOVE_S)
        bench.drive(closed.q, SETTLE_S)
        touched = bench.touched()
        fingers = [role for role, links in links_of_fingers(hand).items() if links & touched]
        if bench.unstable or len(fingers) < 2:
            what = " and ".join(fingers) or "nothing"
            ball = f"a ball of {2e3 * closed.radius_m:.0f} mm"
            raise Violation(f"{hand.side} hand: of its {len(hand.fingers)} fingers, {what} touches {ball}")
        figures.append(f"{hand.side}: {', '.join(fingers)}")
    return "; ".join(figures)


def _mass_of_urdf(hand: HandSpec) -> float | None:
    """Sum up what moves with the hand's root; None unless every rigid part that has a body has a mass in the file."""
    assert hand.tree is not None
    masses = urdf_masses(hand.urdf) if hand.urdf else {}
    base = rigid_part(hand.tree, hand.root)
    links = [base, *(joint.child for joint in below(hand.tree, base))]
    weighed = {rigid_part(hand.tree, link) for link in links if link in masses}
    if not {rigid_part(hand.tree, body.link) for body in hand.bodies} <= weighed:
        return None
    return sum(masses.get(link, 0.0) for link in links)


def _simulated(subject: Subject) -> Iterator[HandSpec]:
    return (hand for hand in subject.spec.hands if hand.tree and hand.bodies)


def _bench(hand: HandSpec, ball: Grip | None = None) -> HandBench:
    try:
        return HandBench(hand, ball.center_m, ball.radius_m) if ball else HandBench(hand)
    except MissingExtraError as missing:
        raise NotApplicable(str(missing)) from None


def _open(hand: HandSpec) -> Array:
    return np.array(hand.open_pose or [joint.clamp(0.0) for joint in hand.actuated], np.float64)


def _settled(bench: HandBench, target: Array, what: str, worst: dict[str, float]) -> None:
    """Refuse joints that are not where they should be; followers belong to where their leaders are."""
    if bench.unstable:
        raise Violation(f"{bench.hand.side} hand: the simulation blows up on the way to {what}")
    found = bench.joints
    wanted = dict(zip([joint.name for joint in bench.hand.actuated], target.tolist(), strict=True))
    for joint in bench.hand.joints:
        if joint.mimic is not None:
            wanted[joint.name] = joint.mimic.multiplier * found[joint.mimic.joint] + joint.mimic.offset
        off = abs(found[joint.name] - wanted[joint.name])
        if not off <= SETTLED[joint.unit]:
            place = f"{found[joint.name]:.4g} {joint.unit} instead of {wanted[joint.name]:.4g}"
            raise Violation(f"joint {joint.name!r} is at {place} {SETTLE_S} s after the way to {what}")
        worst[joint.unit] = max(worst[joint.unit], off)


def _neighbours(hand: HandSpec, one: str, other: str) -> bool:
    """Whether nothing lies between two links on the tree but joints of several axes: no other body, or a short one."""
    assert hand.tree is not None
    ways = [inwards(hand, link) for link in (one, other)]
    meeting = next(link for link in ways[0] if link in ways[1])
    bodied = {body.link for body in hand.bodies} - {one, other}
    for way in ways:
        for child, link in pairwise(way[: way.index(meeting) + 1]):
            joint = hand.tree.parent_joint(child)
            short = link != meeting and joint is not None and np.linalg.norm(joint.xyz_m) < SHORT_M
            if link in bodied and not short:
                return False
    return True
