"""What a dataset declares about itself; stored as ``attrs["egoscale"]`` of the Zarr root."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from egoscale_sdk.specs.base import Name, Positive, Side, Strict, VersionedId, check_distinct
from egoscale_sdk.specs.embodiment import EmbodimentSpec
from egoscale_sdk.specs.hand import HandSpaceSpec
from egoscale_sdk.specs.layout import RowLayout

FORMAT = 1
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+!]{0,63}")


class Provider(Strict):
    """The distribution that brought an embodiment or a retargeter."""

    distribution: str
    version: str

    def install_hint(self) -> str:
        """Say which package to install; nothing where the name cannot be that of a package.

        The name comes from data: it is shown, never acted upon.
        """
        if not _DISTRIBUTION.fullmatch(self.distribution):
            return ""
        version = self.version if _VERSION.fullmatch(self.version) else ""
        package = f"{self.distribution}=={version}" if version else self.distribution
        return f"it was written with {self.distribution} {version}; if you trust that, run: pip install '{package}'"


class RetargetingRecord(Strict):
    """How a derived action set was made."""

    retargeter: str
    version: str
    provider: Provider
    parameters: dict[str, JsonValue] = {}


class ActionSetSpec(Strict):
    """One set of actions: as recorded (``native``), or derived from it by a retargeting.

    ``embodiment`` is whose body the hand columns are of. ``lead_s``: how far commands lead the state.
    """

    name: Name
    embodiment: VersionedId
    action_fingerprint: str
    hand_spaces: dict[Side, HandSpaceSpec]
    action_source: Literal["commanded", "observed"]
    lead_s: float = 0.0
    spec: EmbodimentSpec | None = None
    retargeting: RetargetingRecord | None = None

    @property
    def layout(self) -> RowLayout:
        """Columns of this set's rows."""
        return RowLayout.of(self.hand_spaces)


class CameraStream(Strict):
    """A recorded camera: size and JPEG quality of its stored images."""

    name: Name
    height_px: int = Field(gt=0, le=8192)
    width_px: int = Field(gt=0, le=8192)
    mount: str = "head"
    native: bool = True


class DatasetDeclaration(Strict):
    """The self-description of a dataset: one embodiment moved, and this is what its numbers mean.

    ``spec`` is a full snapshot, so a dataset opens, validates and gives statistics without any plugin.
    ``base_frame`` is the frame of the stored wrist poses, fixed within an episode.
    """

    format: int = FORMAT
    uid: str
    embodiment: VersionedId
    action_fingerprint: str
    safety_digest: str
    provider: Provider
    spec: EmbodimentSpec
    kind: Literal["human", "robot"]
    fps: Positive
    base_frame: Name
    has_state: bool
    wrist_source: Literal["tracker", "keypoints", "commanded", "arm_fk", "none"]
    action_sets: tuple[ActionSetSpec, ...] = Field(min_length=1)
    cameras: tuple[CameraStream, ...] = ()
    raw: tuple[str, ...] = ()
    importer: str = ""
    source: str = ""
    assumptions: tuple[str, ...] = ()
    licence: str = ""
    written_by: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [action_set.name for action_set in self.action_sets]
        check_distinct("action set", names)
        if names[0] != "native":
            raise ValueError("the first action set is 'native': what was recorded")
        return self

    @property
    def native(self) -> ActionSetSpec:
        """The action set that was recorded."""
        return self.action_sets[0]
