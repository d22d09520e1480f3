"""Writes EgoDex files in the published schema with h5py and PyAV; shares nothing with the importer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FINGERS = ("Index", "Middle", "Ring", "Little")
PARTS = ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
THUMB = tuple(f"Thumb{part}" for part in PARTS)
NAMES = ("Hand", *THUMB, *(f"{finger}Finger{part}" for finger in FINGERS for part in PARTS))
BODY = ("hip", *(f"spine{n}" for n in range(1, 8)), *(f"neck{n}" for n in range(1, 5)))
NEW = {
    "llm_description": b"put the cup on the shelf",
    "llm_description2": b"take the cup off the shelf",
    "which_llm_description": "2",
    "llm_type": "reversible",
    "llm_objects": np.array([b"cup", b"shelf"]),
    "task": "stack_cups",
    "environment": "kitchen",
    "session_name": b"session 7",
}
OLD = {"description": "fold the towel", "description2": b"", "type": "normal"}


def write_egodex(path: Path, keypoints, camera, *, attributes=NEW, confidence=0.9, video=True, size=(48, 64)) -> Path:
    """Write ``<path>.hdf5`` and ``<path>.mp4`` of world ``keypoints (T, 2, 21, 3)`` and ``camera (T, 4, 4)``."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = len(keypoints)
    with h5py.File(path.with_suffix(".hdf5"), "w") as file:
        file["camera/intrinsic"] = np.array([[36.8, 0, 32], [0, 36.8, 24], [0, 0, 1]], np.float32)
        file["transforms/camera"] = camera.astype(np.float32)
        for joint in BODY:
            file[f"transforms/{joint}"] = np.tile(np.eye(4, dtype=np.float32), (rows, 1, 1))
        for hand, side in enumerate(("left", "right")):
            for number, name in enumerate(NAMES):
                pose = np.tile(np.eye(4), (rows, 1, 1))
                pose[:, :3, 3] = keypoints[:, hand, number]
                file[f"transforms/{side}{name}"] = pose.astype(np.float32)
                if confidence is not None:
                    value = np.broadcast_to(confidence, (rows, 2))[:, hand]
                    file[f"confidences/{side}{name}"] = value.astype(np.float32)
            for finger in FINGERS:  # not one of the 21 keypoints, and no place for one
                file[f"transforms/{side}{finger}FingerMetacarpal"] = np.full((rows, 4, 4), 99.0, np.float32)
        for name, value in attributes.items():
            file.attrs[name] = value
    if video:
        write_video(path.with_suffix(".mp4"), rows, size)
    return path.with_suffix(".hdf5")


def write_video(path: Path, frames: int, size) -> None:
    """Write a 30 Hz video whose brightness grows by the frame."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for n in range(frames):
            picture = np.full((*size, 3), 10 + 15 * n, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
