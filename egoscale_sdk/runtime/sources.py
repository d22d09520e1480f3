"""Where targets come from: a policy, or a motion that looks at nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.geometry import Floats, vec9_from_pose
from egoscale_sdk.interfaces import RobotState
from egoscale_sdk.runtime.plan import Plan, plan_from_rows
from egoscale_sdk.specs import EmbodimentSpec, RowLayout, Side

_HELD = 16  # rows: longer than any plan is followed before the next is asked for


class Actor(Protocol):
    """A policy as the runtime needs it; `egoscale_sdk.runtime.policy.LoadedPolicy` is one."""

    @property
    def chunk_dt_s(self) -> float:
        """Seconds from row to row."""

    def act(
        self,
        embodiment: str,
        images: Mapping[str, NDArray[np.uint8]],
        state_row: Floats | None,
        state_valid: NDArray[np.bool_] | None,
        prompt: str,
        samples: int,
        seed: int,
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return absolute rows ``(H, D)`` in the layout of the embodiment's spec, and which columns are commanded."""


class ActionSource(ABC):
    """Proposes what to do next, from what is measured now."""

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Begin an episode; everything random in it follows from ``seed``."""

    @abstractmethod
    def propose(self, state: RobotState) -> Plan:
        """Return targets from ``state.time_ns`` on.

        Raises:
            SafetyError: there is nothing fit to be done.
        """


class PolicySource(ActionSource):
    """A policy that sees the cameras, the measured state and the instruction, and nothing else.

    Args:
        actor: The policy.
        spec: What it drives.
        sides: The hands that are there; columns of the others are masked.
        prompt: The instruction.
        samples: Chunks that are sampled and averaged.
        blank: Show it black pictures: how much it depends on seeing.
    """

    def __init__(
        self,
        actor: Actor,
        spec: EmbodimentSpec,
        sides: tuple[Side, ...],
        prompt: str,
        *,
        samples: int = 4,
        blank: bool = False,
    ) -> None:
        self._actor, self._embodiment, self._sides, self._prompt = actor, spec.id, sides, prompt
        self._layout, self._samples, self._blank = RowLayout.of(spec.hand_spaces), samples, blank
        self._seed, self._calls = 0, 0

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._seed, self._calls = seed, 0

    def propose(self, state: RobotState) -> Plan:
        """Ask the policy for one chunk."""
        row, valid = state_row(state, self._layout)
        images = {name: np.zeros_like(image) if self._blank else image for name, image in state.images.items()}
        seed = int(np.random.SeedSequence((self._seed, self._calls)).generate_state(1)[0])
        self._calls += 1
        rows, commanded = self._actor.act(
            self._embodiment, images, row, valid, self._prompt, samples=self._samples, seed=seed
        )
        self._check(commanded)
        return plan_from_rows(
            np.asarray(rows, np.float64), self._layout, self._sides, state.time_ns, self._actor.chunk_dt_s
        )

    def _check(self, commanded: NDArray[np.bool_]) -> None:
        for side in self._sides:
            for group in (f"{side}_wrist", f"{side}_hand"):
                if not commanded[:, self._layout.blocks[group]].all():
                    raise SafetyError(f"the policy does not command the {group}")


class TrajectorySource(ActionSource):
    """One fixed motion, whatever is seen; its last row is held.

    Args:
        rows: Absolute rows ``(T, D)`` in ``layout``.
        dt_s: Time between rows.
        layout: Columns of the rows.
        sides: The hands that are there.
    """

    def __init__(self, rows: Floats, dt_s: float, layout: RowLayout, sides: tuple[Side, ...]) -> None:
        self.rows, self.dt_s, self.layout, self.sides = rows, dt_s, layout, sides
        self._start_ns: int | None = None

    def reset(self, seed: int) -> None:
        """Begin again."""
        self._start_ns = None

    def propose(self, state: RobotState) -> Plan:
        """Return what is left of the motion."""
        if self._start_ns is None:
            self._start_ns = state.time_ns
        done = round((state.time_ns - self._start_ns) / (1e9 * self.dt_s))
        rows = self.rows[min(done, len(self.rows) - 1) :]
        held = np.repeat(rows[-1:], max(0, _HELD - len(rows)), axis=0)
        return plan_from_rows(np.concatenate([rows, held]), self.layout, self.sides, state.time_ns, self.dt_s)


def state_row(state: RobotState, layout: RowLayout) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the measured row ``(D,)`` and which groups of it are known ``(G,)``; an absent side holds zeros."""
    row = np.zeros(layout.dim)
    for side, wrist in state.wrists.items():
        row[layout.blocks[f"{side}_wrist"]] = vec9_from_pose(wrist)
    for side, hand in state.hands.items():
        row[layout.blocks[f"{side}_hand"]] = hand
    known = {f"{side}_wrist" for side in state.wrists} | {f"{side}_hand" for side in state.hands}
    return row, np.array([group in known for group in layout.groups])
