"""Object stores through obstore: S3, Google Cloud Storage, Azure, and plain web servers that serve ranges.

Credentials, region and endpoint come from the environment variables that obstore knows. Requests have a deadline and
are tried again with growing pauses; what a store answers becomes one line.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egoscale_sdk.data.store import Store, StoreError, check_length, files_of, scheme_of
from egoscale_sdk.errors import DataError, require_extra

DEADLINE_S = "EGOSCALE_REQUEST_DEADLINE_S"
RETRIES = "EGOSCALE_REQUEST_RETRIES"
CACHE = "EGOSCALE_CACHE"
_DEFAULT_DEADLINE_S, _DEFAULT_RETRIES = 30.0, 5
_PARALLEL = 16
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT, or AWS_SKIP_SIGNATURE=true",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}
_DENIED = ("UnauthenticatedError", "PermissionDeniedError")
_started: list[int] = []
"""Process in which obstore's threads run, once they do; they do not survive a fork."""


class RemoteStore(Store):
    """A prefix of an object store.

    Raises:
        DataError: the address is malformed, or carries credentials.
        MissingExtraError: obstore is not installed.
    """

    def __init__(self, where: str) -> None:
        self.where, self.scheme = where.rstrip("/"), scheme_of(where)
        self.requests, self.bytes_read = 0, 0
        parts = urlsplit(self.where)
        if parts.username or parts.password or parts.query or parts.fragment:
            shown = f"{parts.scheme}://{parts.hostname}{parts.path}"
            raise DataError("an address holds no credentials and no query", where=shown, hint=self._access_hint())
        if not parts.netloc or not parts.path.strip("/"):
            raise DataError(
                "is not the address of a dataset", where=where, allowed=[f"{self.scheme}://bucket/name.zarr"]
            )
        require_extra("obstore", "remote", f"a dataset on {self.scheme}://")
        self._client: Any = None
        self._owner = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteStore, (self.where,)

    @property
    def local(self) -> None:
        """There is no folder."""
        return

    @property
    def cache(self) -> Path:
        """A folder of this address under ``$EGOSCALE_CACHE``, or ``~/.cache/egoscale``."""
        base = os.environ.get(CACHE) or Path.home() / ".cache" / "egoscale"
        return Path(base) / f"{self.name}-{hashlib.sha256(self.where.encode()).hexdigest()[:16]}"

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a whole file, or None if there is none."""
        import obstore

        def get() -> bytes:
            found = obstore.get(self._open(), name)
            if found.meta["size"] > limit:
                raise DataError(f"is larger than {limit} bytes", where=f"{self.where}/{name}")
            return bytes(found.bytes())

        try:
            return self._again(get)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._error(error, name) from None

    def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)`` of a file."""
        import obstore

        if start >= stop:
            return b""
        try:
            data = self._again(lambda: bytes(obstore.get_range(self._open(), name, start=start, end=stop)))
        except Exception as error:
            raise self._error(error, name) from None
        return check_length(data, start, stop, f"{self.where}/{name}")

    def read_many(self, names: Sequence[str], limit: int) -> list[bytes | None]:
        """Return several whole files, fetched at the same time."""
        if len(names) < 2:
            return super().read_many(names, limit)
        with ThreadPoolExecutor(min(_PARALLEL, len(names))) as pool:
            return list(pool.map(lambda name: self.read(name, limit), names))

    def names(self, folder: str, after: str = "") -> list[str] | None:
        """Return the sorted names of the files in a folder; web servers have no list."""
        import obstore

        if self.scheme in ("http", "https"):
            return None
        try:
            found = obstore.list(self._open(), folder, offset=f"{folder}/{after}" if after else None).collect()
        except Exception as error:
            raise self._error(error, folder) from None
        prefix = f"{folder}/"
        return sorted(item["path"].removeprefix(prefix) for item in found if item["path"].startswith(prefix))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file with a conditional put."""
        from obstore.exceptions import AlreadyExistsError

        try:
            self._put(name, data, mode="create")
        except AlreadyExistsError:
            return False
        except Exception as error:
            raise self._error(error, name) from None
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Write a file over one that may be there."""
        try:
            self._put(name, data, mode="overwrite")
        except Exception as error:
            raise self._error(error, name) from None

    def place(self, folder: Path, target: str) -> None:
        """Upload the files of the folder, several at a time, and remove it."""
        files = list(files_of(folder))
        with ThreadPoolExecutor(_PARALLEL // 2) as pool:
            names = [f"{target}/{file.relative_to(folder).as_posix()}" for file in files]
            list(pool.map(self._upload, files, names))
        shutil.rmtree(folder)

    def remove(self, folder: str) -> None:
        """Delete what is under a prefix."""
        import obstore

        for name in self.names(folder) or []:
            try:
                obstore.delete(self._open(), f"{folder}/{name}")
            except Exception as error:
                raise self._error(error, f"{folder}/{name}") from None

    def _again(self, get: Callable[[], bytes]) -> bytes:
        """Fetch, and once more where an answer broke off in the middle: that is not tried again by obstore."""
        for pause_s in _pauses():
            try:
                data = get()
            except Exception as error:
                if pause_s is None or "body" not in str(error).split("\n", 1)[0]:
                    raise
                time.sleep(pause_s)
                continue
            self.bytes_read += len(data)
            break
        return data

    def _upload(self, file: Path, name: str) -> None:
        try:
            self._put(name, file)
        except Exception as error:
            raise self._error(error, name) from None

    def _put(self, name: str, data: bytes | Path, **options: Any) -> None:
        import obstore

        if self.scheme in ("http", "https"):
            raise StoreError("a web server is only read from", where=self.where, hint="write to a disk or to s3://")
        obstore.put(self._open(), name, data, **options)

    def _open(self) -> Any:
        """Return the client, made anew in each process."""
        here = os.getpid()
        if _started and _started[0] != here:
            what = "this process was forked from one that used an object store already, whose threads it lacks"
            raise StoreError(what, where=self.where, hint="start workers with the method 'spawn', or use threads")
        self.requests += 1
        if self._owner != here:
            self._client, self._owner = self._connect(), here
            _started[:] = [here]
        return self._client

    def _connect(self) -> Any:
        from obstore.store import from_url

        deadline = timedelta(seconds=_number(DEADLINE_S, _DEFAULT_DEADLINE_S))
        retry: Any = {
            "max_retries": int(_number(RETRIES, _DEFAULT_RETRIES)),
            "retry_timeout": deadline * 4,
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        }
        options: Any = {"timeout": deadline, "connect_timeout": min(deadline, timedelta(seconds=10))}
        if self.scheme == "http" or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true":
            options["allow_http"] = True
        try:
            return from_url(self.where, client_options=options, retry_config=retry)
        except Exception as error:
            raise self._error(error, "") from None

    def _error(self, error: Exception, name: str) -> DataError:
        """Say in one line what a store answered."""
        if isinstance(error, DataError):
            return error
        where = f"{self.where}/{name}" if name else self.where
        if isinstance(error, FileNotFoundError):
            return DataError("is missing", where=where)
        if isinstance(error, PermissionError) or type(error).__name__ in _DENIED:
            return StoreError("access is denied", where=where, hint=self._access_hint())
        return StoreError(f"cannot be reached: {_summary(error)}", where=where, hint=self._access_hint())

    def _access_hint(self) -> str:
        variables = _VARIABLES.get(self.scheme)
        return f"set {variables}" if variables else ""


def _summary(error: Exception) -> str:
    """First line of what obstore says, without the server's page and without the query of an address."""
    text = str(error).split("\n", 1)[0].split(": <", 1)[0]
    return re.sub(r"\?[^\s]*", "", " ".join(text.split()))[:300]


def _pauses() -> Iterator[float | None]:
    """Seconds to wait after each failure, growing; None after the last."""
    tries = int(_number(RETRIES, _DEFAULT_RETRIES))
    yield from (min(0.1 * 2**number, 5.0) for number in range(tries))
    yield None


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable, "")
    try:
        value = float(text or default)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise DataError(f"is {text!r}, which is no number of seconds or tries", where=variable)
    return value
