"""Where a dataset lies: a folder, or a prefix of an object store; the same few operations for both.

Names are relative to the dataset, with ``/`` between their parts. Nothing that was committed is ever written again,
so that a reader needs no locks and a store no more than put-if-absent.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from io import BufferedReader
from pathlib import Path

from egoscale_sdk.errors import DataError

SCHEMES = ("s3", "gs", "az", "http", "https")
STAGING = "cache/staging"
RESTORE = "restore it from a copy of the dataset, or import again"
EMPTY_GROUP = b'{"attributes":{},"node_type":"group","zarr_format":3}'


class StoreError(DataError):
    """An object store did not answer, or refused; the data may be perfectly well."""


class Store(ABC):
    """The files of one dataset.

    Attributes:
        where: Path or address, for messages and for opening it again.
    """

    where: str

    @property
    def name(self) -> str:
        """Last part of the path or address."""
        return self.where.rstrip("/").rpartition("/")[2]

    @property
    @abstractmethod
    def local(self) -> Path | None:
        """The folder, where it is one on this machine."""

    @property
    @abstractmethod
    def cache(self) -> Path:
        """A folder on this machine for what can be computed again."""

    @abstractmethod
    def read(self, name: str, limit: int) -> bytes | None:
        """Return a whole file, or None if there is none.

        Raises:
            DataError: it is larger than ``limit`` bytes, or cannot be read.
        """

    @abstractmethod
    def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)`` of a file.

        Raises:
            DataError: it cannot be read, or ends before ``stop``.
        """

    @abstractmethod
    def names(self, folder: str, after: str = "") -> list[str] | None:
        """Return the sorted names of the files in a folder that come after ``after``; None if it cannot be listed."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Write a file that nobody sees unfinished, unless there is one of this name; return whether it was written."""

    @abstractmethod
    def replace(self, name: str, data: bytes) -> None:
        """Write a file that nobody sees unfinished, over one that may be there."""

    @abstractmethod
    def place(self, folder: Path, target: str) -> None:
        """Move a staged folder to ``target``, where nothing is."""

    @abstractmethod
    def remove(self, folder: str) -> None:
        """Delete a folder with all that is in it."""

    def read_many(self, names: Sequence[str], limit: int) -> list[bytes | None]:
        """Return several whole files."""
        return [self.read(name, limit) for name in names]

    def staged(self) -> Path:
        """Make and return a new empty folder on this machine, to be filled and then placed."""
        folder = self.cache / "staging" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder


class LocalStore(Store):
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.root.name

    @property
    def local(self) -> Path:
        """The folder."""
        return self.root

    @property
    def cache(self) -> Path:
        """The folder ``cache`` of the dataset."""
        return self.root / "cache"

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a whole file, or None if there is none."""
        return read_file(self.root / name, limit)

    def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)`` of a file."""
        handle = open_file(self.root / name)
        if handle is None:
            raise DataError("is missing", where=f"{self.root}/{name}")
        with handle:
            handle.seek(start)
            data = handle.read(stop - start)
        return check_length(data, start, stop, f"{self.root}/{name}")

    def names(self, folder: str, after: str = "") -> list[str] | None:
        """Return the sorted names of the files in a folder."""
        try:
            return sorted(name for name in os.listdir(self.root / folder) if name > after)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, name: str, data: bytes) -> bool:
        """Write a file by hard-linking a finished one, which fails if there is one of this name."""
        temporary = self._written(data)
        (self.root / name).parent.mkdir(exist_ok=True)
        try:
            os.link(temporary, self.root / name)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        sync_folder((self.root / name).parent)
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Write a file and rename it into place."""
        os.replace(self._written(data), self.root / name)
        sync_folder((self.root / name).parent)

    def place(self, folder: Path, target: str) -> None:
        """Rename the folder."""
        destination = self.root / target
        destination.parent.mkdir(exist_ok=True)
        os.rename(folder, destination)
        sync_folder(destination.parent)

    def remove(self, folder: str) -> None:
        """Delete a folder with all that is in it."""
        shutil.rmtree(self.root / folder, ignore_errors=True)

    def _written(self, data: bytes) -> Path:
        staging = self.root / STAGING
        staging.mkdir(parents=True, exist_ok=True)
        temporary = staging / f"{uuid.uuid4().hex}.tmp"
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        return temporary


def open_store(where: str | Path | Store) -> Store:
    """Return the store of a dataset at a path or at an address such as ``s3://bucket/name.zarr``.

    Raises:
        DataError: the address has a scheme that is not known, or credentials in it.
        MissingExtraError: it is on an object store, and obstore is not installed.
    """
    if isinstance(where, Store):
        return where
    scheme = scheme_of(where)
    if not scheme:
        return LocalStore(Path(where))
    if scheme not in SCHEMES:
        raise DataError(
            f"unknown scheme {scheme!r}", where=str(where), allowed=["a path", *(f"{s}://" for s in SCHEMES)]
        )
    from egoscale_sdk.data.remote import RemoteStore

    return RemoteStore(str(where))


def scheme_of(where: str | Path) -> str:
    """Return the scheme of an address in lower case, or an empty text for a path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.\-]+)://", where) if isinstance(where, str) else None
    return match.group(1).lower() if match else ""


def check_length(data: bytes, start: int, stop: int, where: str) -> bytes:
    """Return ``data``, which must be as long as the range that was asked for."""
    if len(data) != stop - start:
        raise DataError(f"ends at byte {start + len(data)}; bytes {start}..{stop} were committed", where=where)
    return data


def open_file(file: Path) -> BufferedReader | None:
    """Open a file for reading, or return None if there is none.

    Raises:
        DataError: it is a folder, a link, a pipe or a device: a dataset holds its own files.
    """
    try:
        # a link may lead anywhere, and a pipe would be waited for
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}", where=str(file), hint=RESTORE) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError("is not a file", where=str(file), hint=RESTORE)
    return open(handle, "rb")


def read_file(file: Path, limit: int) -> bytes | None:
    """Return a whole file, or None if there is none.

    Raises:
        DataError: it is larger than ``limit`` bytes, is not a file, or cannot be read.
    """
    handle = open_file(file)
    if handle is None:
        return None
    with handle:
        if os.fstat(handle.fileno()).st_size > limit:
            raise DataError(f"is larger than {limit} bytes", where=str(file))
        return handle.read(limit)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def files_of(folder: Path) -> Iterable[Path]:
    """Return the files of a folder and of those in it, sorted."""
    return sorted(file for file in folder.rglob("*") if file.is_file())
