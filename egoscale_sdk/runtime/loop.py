"""The control loop: at a fixed rate, the newest target, checked and limited, to one driver."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from egoscale_sdk.errors import SafetyError
from egoscale_sdk.interfaces import Driver, RobotCommand, RobotState
from egoscale_sdk.runtime.plan import Plan
from egoscale_sdk.runtime.safety import SafetyFilter
from egoscale_sdk.runtime.sources import ActionSource

Phase = Literal["following", "holding", "fault"]


@dataclass(frozen=True)
class Tick:
    """What one control period did."""

    state: RobotState
    command: RobotCommand
    phase: Phase


@dataclass
class Log:
    """What the loop had to hold back or refuse, counted by reason, and the fault that stopped it, if any."""

    counts: Counter[str] = field(default_factory=Counter)
    fault: str = ""


class Pacer:
    """Keeps a period between one command and the next.

    A late period is not made up for by a quick one: speeds are limited per period, so a burst would exceed them.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._due_s = clock()

    def wait(self, period_s: float) -> None:
        """Return when the next period begins; one that was late is followed by a whole one."""
        now = self._clock()
        on_time = self._due_s + period_s
        self._due_s = on_time if now <= on_time else now + period_s
        self._sleep(self._due_s - now)


class ControlLoop:
    """Reads, decides, limits and writes, once per control period of the spec.

    A new plan is asked for every ``execute`` elements. A refused proposal leaves the old plan in force until it is
    used up; then the last command is held; after ``stale_after_s`` of holding, or of a state that does not change, a
    fault is latched: the hand holds until `reset`, and nothing is asked any more.

    Args:
        driver: A connected robot, simulation or replay.
        source: Where targets come from.
        execute: Elements of a chunk to carry out before asking again.
        pacer: Keeps pace with the clock; None for a simulation, which keeps its own time.
    """

    def __init__(self, driver: Driver, source: ActionSource, *, execute: int = 8, pacer: Pacer | None = None) -> None:
        self._driver, self._source, self._execute, self._pacer = driver, source, execute, pacer
        self._safety = SafetyFilter(driver.spec, driver.sides)
        self._period_s = 1 / driver.spec.control.rate_hz
        self._stale_after_s = driver.spec.control.stale_after_s
        self.log = Log()
        self._plan: Plan | None = None
        self._before: RobotCommand | None = None
        self._idle_s = 0.0
        self._frozen_s = 0.0
        self._time_ns = -1

    def reset(self, seed: int) -> None:
        """Begin an episode from the measured state; clears a fault."""
        self._safety.reset(self._driver.read())
        self._source.reset(seed)
        self.log = Log()
        self._plan, self._idle_s, self._frozen_s, self._time_ns = None, 0.0, 0.0, -1

    def tick(self) -> Tick:
        """Run one control period."""
        state = self._driver.read()
        self._watch_state(state)
        if not self.log.fault:
            self._renew(state)
        command = self._target(state)
        self._driver.write(command)
        return Tick(state, command, self._phase)

    def run(self, seconds: float, until: Callable[[Tick], bool] = lambda tick: False) -> int:
        """Run periods until ``until`` says so, a fault is latched, or the time is over; return how many.

        ``until`` is asked after each period.
        """
        for count in range(1, round(seconds / self._period_s) + 1):
            tick = self.tick()
            if until(tick) or tick.phase == "fault":
                return count
            if self._pacer is not None:
                self._pacer.wait(self._period_s)
        return round(seconds / self._period_s)

    @property
    def _phase(self) -> Phase:
        if self.log.fault:
            return "fault"
        return "holding" if self._idle_s else "following"

    def _watch_state(self, state: RobotState) -> None:
        self._frozen_s = 0.0 if state.time_ns > self._time_ns else self._frozen_s + self._period_s
        self._time_ns = max(self._time_ns, state.time_ns)
        if self._frozen_s > self._stale_after_s:
            self._latch(f"the measured state has not changed for {self._stale_after_s} s")

    def _renew(self, state: RobotState) -> None:
        """Ask for a new plan when enough of the old one is done; keep the old one if the answer is unfit."""
        if self._plan is not None and self._plan.element(state.time_ns) < min(self._execute, self._plan.length):
            return
        try:
            plan = self._source.propose(state)
            self._check(plan)
        except SafetyError as error:
            self.log.counts[f"refused: {error}"] += 1
        else:
            self._plan, self._before = plan, self._safety.last

    def _check(self, plan: Plan) -> None:
        """Refuse a plan as a whole if any of its targets is unfit, before the first one moves anything."""
        for k in range(plan.length):
            wrists = {side: poses[k] for side, poses in plan.wrists.items()}
            self._safety.check(RobotCommand(wrists, {side: rows[k] for side, rows in plan.hands.items()}))

    def _target(self, state: RobotState) -> RobotCommand:
        plan = self._plan
        if self.log.fault or plan is None or plan.element(state.time_ns) >= plan.length:
            return self._hold()
        self._idle_s = 0.0
        wanted = plan.command(state.time_ns, self._period_s, self._before or self._safety.last)
        checked = self._safety.limit(wanted, self._period_s)
        self.log.counts.update(checked.held_back)
        return checked.command

    def _hold(self) -> RobotCommand:
        self._idle_s += self._period_s
        if self._idle_s > self._stale_after_s:
            self._latch(f"no fit action for {self._stale_after_s} s")
        return self._safety.hold()

    def _latch(self, reason: str) -> None:
        self.log.fault = self.log.fault or reason
