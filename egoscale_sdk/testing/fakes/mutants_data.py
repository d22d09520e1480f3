"""One fault each, for the checks of the family DATA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.hands.action_space import WristHandSpace
from egoscale_sdk.host import EmbodimentEntry, PluginHost, hookimpl
from egoscale_sdk.interfaces import Chunk
from egoscale_sdk.interfaces.action_space import Bools, Floats
from egoscale_sdk.specs import EmbodimentSpec
from egoscale_sdk.testing.fakes.good import GOOD_ID, NAMESPACE, SOURCE, good, good_spec, with_spec
from egoscale_sdk.testing.fakes.plugin import egoscale_embodiments
from egoscale_sdk.testing.subject import Subject


class _NotANumber(WristHandSpace):
    def encode(self, trajectory: Floats, valid: Bools, state: Floats, state_valid: Bools) -> Chunk:
        chunk = super().encode(trajectory, valid, state, state_valid)
        values: NDArray[np.floating] = chunk.values.copy()
        values[..., -1] = np.nan
        return Chunk(values, chunk.mask)


class _DecodesWithoutState(WristHandSpace):
    def decode(self, chunk: Floats, state: Floats) -> Floats:
        return chunk


class _SilencesDifferences:
    @hookimpl
    def egoscale_embodiments(self) -> list[EmbodimentEntry]:
        return egoscale_embodiments()

    @hookimpl
    def egoscale_upgrade_declaration(self, current: EmbodimentSpec) -> EmbodimentSpec:
        return current


def _statistics_of_nothing() -> Subject:
    return good(action_space=_NotANumber(good().layout))


def _nameless_distribution() -> Subject:
    return good(source=replace(SOURCE, distribution="three fingers (beta)"))


def _lossy_space() -> Subject:
    return good(action_space=_DecodesWithoutState(good().layout))


def _shifted_columns() -> Subject:
    """The last layout says that the right hand begins one column late, and nobody says what the column before is."""
    *others, last = good_spec().recordings
    *before, hand = last.action
    late = hand.model_copy(update={"start": hand.start + 1, "stop": hand.stop + 1})
    return with_spec(recordings=(*others, last.model_copy(update={"action": (*before, late)})))


def _silenced_differences() -> Subject:
    return Subject(PluginHost({NAMESPACE: _SilencesDifferences()}), NAMESPACE, GOOD_ID)


MUTANTS: dict[str, Callable[[], Subject]] = {
    "DATA001": _statistics_of_nothing,
    "DATA002": _nameless_distribution,
    "DATA003": _lossy_space,
    "DATA004": _shifted_columns,
    "DATA005": _silenced_differences,
}
