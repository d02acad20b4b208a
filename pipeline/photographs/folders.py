"""What lies below a folder of pictures: the files, and what is left out, and why."""

import stat
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

from pipeline.system.errors import PipelineError, printable

# What operating systems, file servers and programs that unpack archives put beside pictures; in lower case.
SYSTEM = {
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@__thumb", "@sharebin", "@tmp"),  # servers
    *("$recycle.bin", "recycler", "system volume information", "found.000"),  # Windows
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini"),
    *("__macosx", "icon\r", "network trash folder", "temporary items", "ipod photo cache"),  # macOS
    "lost+found",
}
HIDDEN = "hidden or of the system"
BROKEN = "broken links"
KNOWN = "links to folders that are there already"
LOCKED = "folders that may not be opened"
SPECIAL = "neither files nor folders"


class Found(NamedTuple):
    """What lies below a folder.

    files: all that may be pictures, sorted; whether they are is for others to say.
    left_out: the rest, by the reason. A folder stands for all that is in it.
    """

    files: list[Path]
    left_out: dict[str, list[Path]]


def walk(folder: Path) -> Found:
    """Look through a folder and its subfolders; links are followed, to each real folder once, so that none goes round.

    A subfolder that is there itself and by a link is found under its own name, and of several links the first counts.

    Raises:
        PipelineError: the folder itself cannot be opened.
    """
    files: list[Path] = []
    left_out: dict[str, list[Path]] = {}
    known: set[tuple[int, int]] = set()
    places, links = [folder], list[Path]()
    while places or links:
        place = places.pop() if places else heappop(links)
        try:
            status = place.stat()
            below = list(place.iterdir())
        except OSError as error:
            if place == folder:
                raise PipelineError(
                    f"{folder}: {error.strerror}; give a folder of pictures that may be opened"
                ) from None
            left_out.setdefault(LOCKED, []).append(place)
            continue
        if (status.st_dev, status.st_ino) in known:
            left_out.setdefault(KNOWN, []).append(place)
            continue
        known.add((status.st_dev, status.st_ino))
        for path in below:
            match _kind(path):
                case "file":
                    files.append(path)
                case "folder" if path.is_symlink():
                    heappush(links, path)
                case "folder":
                    places.append(path)
                case reason:
                    left_out.setdefault(reason, []).append(path)
    return Found(sorted(files), {reason: sorted(left_out[reason]) for reason in sorted(left_out)})


def _kind(path: Path) -> str:
    """`file`, `folder`, or why it is left out."""
    if path.name.startswith(".") or path.name.lower() in SYSTEM:
        return HIDDEN
    try:
        mode = path.stat().st_mode
    except OSError:  # or a file that was deleted meanwhile
        return BROKEN
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else SPECIAL


def listed(folder: Path, left_out: Mapping[str, Sequence[Path]]) -> str:
    """What was left out of a folder, in one line: how many for each reason, and the first by name."""
    return "; ".join(
        f"{reason}: {len(paths):,} ({printable(paths[0].relative_to(folder))}{', …' if paths[1:] else ''})"
        for reason, paths in left_out.items()
    )
