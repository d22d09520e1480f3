"""Work that is killed with SIGKILL at a chosen point: not after a time, but at the n-th function call."""

import os
import signal
import sys


def calls_of(work):
    """How many function calls, Python's and C's, a piece of work makes in the main thread of a process."""
    reader, writer = os.pipe()
    status = _fork(work, None, writer)
    with os.fdopen(reader) as pipe:
        counted = pipe.read()
    assert status == 0, "the work failed by itself"
    return int(counted)


def kill_at(work, call):
    """Do the work in a process that is killed at its ``call``-th function call; return whether it was."""
    status = _fork(work, call, None)
    assert status in (0, -signal.SIGKILL), "the work failed by itself"
    return status == -signal.SIGKILL


def _fork(work, call, writer):
    pid = os.fork()
    if pid == 0:
        _live(work, call, writer)
    if writer is not None:
        os.close(writer)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _live(work, call, writer):
    seen, code = 0, 1

    def count(frame, event, argument):
        nonlocal seen
        seen += event in ("call", "c_call")
        if seen == call:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.setprofile(count)
        work()
        sys.setprofile(None)
        if writer is not None:
            os.write(writer, str(seen).encode())
        code = 0
    finally:
        os._exit(code)
