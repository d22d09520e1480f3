"""Work for the tests of the engines: functions that a worker process can import."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from egoscale_sdk.errors import DataError


def square(number):
    return number * number


def threads(_):
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads(), os.getpid()


def policy(_):
    return os.environ["OMP_WAIT_POLICY"]


def fill(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def overwrite(path):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def refuse(number):
    if number == 3:
        raise DataError("is three", where=f"task {number}", hint="use four")
    return number


def stumble(number):
    return 1 // number


@dataclass
class Deadly:
    """Kills its own process over some tasks, once or always, and writes down whatever it finishes."""

    folder: Path
    deadly: tuple[int, ...] = ()
    always: bool = False

    def __call__(self, number):
        scar = self.folder / f"scar-{number}"
        if number in self.deadly and (self.always or not scar.exists()):
            scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (self.folder / "done.txt").open("a") as file:
            file.write(f"{number}\n")
        return number


@dataclass
class Counted:
    """Remembers what it has opened: once in each worker."""

    opened: int = 0

    def __call__(self, number):
        self.opened += 1
        return os.getpid(), self.opened


def wait_for_ever(folder):
    (Path(folder) / f"pid-{os.getpid()}").touch()
    time.sleep(3600)
