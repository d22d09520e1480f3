"""Imports for the tests of engines: what a worker process can import, and a worker that dies."""

import os
import signal

from egoscale_sdk.data import Dataset
from egoscale_sdk.data.importers.keypoint_options import KeypointsOptions
from egoscale_sdk.data.importers.keypoints import KeypointsImporter
from egoscale_sdk.data.importers.run import import_recording
from egoscale_sdk.data.importers.segments import WriteSegment
from egoscale_sdk.specs import Provider, load_embodiment
from tests.data_kit import episode, human_declaration


def opened(takes):
    spec = load_embodiment("egoscale_embodiments:human_hands/embodiment.toml")
    return KeypointsImporter().open(str(takes), spec, Provider(distribution="x", version="1"), KeypointsOptions())


def import_takes(takes, path):
    return import_recording(opened(takes), path)


def import_task(task):
    """As `import_takes`, of a pair."""
    return import_takes(*task)


def append_task(task):
    """Append episodes one commit at a time, as a recorder does: ``(path, writer, how many)``."""
    path, writer, count = task
    declaration = human_declaration()
    return sum(
        Dataset.open(path).append([episode(f"{writer}-{n}", declaration, rows=8, seed=10 * writer + n)])
        for n in range(count)
    )


class DeadlyWrite(WriteSegment):
    """Kills its worker the first time that it has written a segment, so that the segment is nobody's."""

    def __init__(self, where, declaration, folder):
        super().__init__(where, declaration)
        self.folder = folder

    def __call__(self, readers):
        written = super().__call__(readers)
        scar = self.folder / readers[0][0].replace("/", "-")
        if len(list(self.folder.iterdir())) < 2 and not scar.exists():
            scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return written
