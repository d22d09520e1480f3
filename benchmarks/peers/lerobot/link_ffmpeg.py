"""Let torchcodec find the FFmpeg that comes with PyAV, under the names that it looks for, in ``<environment>/ffmpeg``.

Run by `make lerobot-env` with that environment's Python. A program there needs LD_LIBRARY_PATH=<environment>/ffmpeg.
"""

import re
import sys
from pathlib import Path

import av

links = Path(sys.prefix) / "ffmpeg"
links.mkdir(exist_ok=True)
for library in (Path(av.__file__).parents[1] / "av.libs").glob("lib*.so*"):
    (links / library.name).unlink(missing_ok=True)
    (links / library.name).symlink_to(library)
    name = re.sub(r"-[0-9a-f]+(\.so\.\d+).*", r"\1", library.name)  # libavcodec-1a2b3c.so.61.19.101
    if name != library.name:
        (links / name).unlink(missing_ok=True)
        (links / name).symlink_to(library)
