"""The importer ``keypoints``: hand keypoints of any tracker, with or without a camera trajectory and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.importers.keypoint_options import KeypointsOptions
from egoscale_sdk.data.importers.keypoint_source import KeypointSource
from egoscale_sdk.data.importers.people import RAW
from egoscale_sdk.data.importers.sources import (
    HUMAN,
    FileRecording,
    files_of,
    first_readable,
    head_camera,
    require_people,
    source_key,
)
from egoscale_sdk.errors import DataError
from egoscale_sdk.interfaces import Episode, Importer, Recording
from egoscale_sdk.specs import DatasetDeclaration, EmbodimentSpec, Provider

_SUFFIXES = (".npz", ".csv")


class KeypointsImporter(Importer):
    """Reads our NPZ/CSV exchange form (`docs/keypoints_exchange.md`) and bare files of keypoints."""

    name = "keypoints"
    options = KeypointsOptions

    def embodiment_for(self, source: str, installed: Sequence[EmbodimentSpec]) -> str:
        """Keypoints of hands are of people."""
        files_of(source, _SUFFIXES)
        return HUMAN

    def open(self, source: str, spec: EmbodimentSpec, provider: Provider, options: KeypointsOptions) -> Recording:
        """Open a file, or a folder with one file per episode; see `Importer`."""
        require_people(spec, self.name)
        files = files_of(source, _SUFFIXES)
        if len(files) > 1 and (options.trajectory or options.video):
            raise DataError(
                f"--trajectory and --video are of one file; the source has {len(files)}",
                where=source,
                hint="put <stem>.trajectory.txt and <stem>.mp4 beside each file of keypoints",
            )
        declaration = first_readable(files, partial(_declare, spec=spec, provider=provider, options=options))
        declaration = declaration.model_copy(update={"source": Path(source).name})
        return FileRecording(declaration, {source_key(file): partial(_read, file, options, spec) for file in files})


def _declare(file: Path, spec: EmbodimentSpec, provider: Provider, options: KeypointsOptions) -> DatasetDeclaration:
    """Declare what one file, and so every file of the recording, holds."""
    first = KeypointSource(file, options, head_camera(spec))
    placed = first.placement.frame_pose is not None
    return declare(
        spec,
        provider,
        fps=first.fps,
        wrist_source="keypoints" if placed else "none",
        cameras=first.cameras(),
        importer=KeypointsImporter.name,
        assumptions=first.assumptions(),
        licence=options.licence,
        raw=(*RAW, "keypoint_quat_wxyz") if placed and first.table.rotations is not None else RAW,
    )


def _read(file: Path, options: KeypointsOptions, spec: EmbodimentSpec) -> Episode:
    return KeypointSource(file, options, head_camera(spec)).episode()
