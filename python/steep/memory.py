"""How much memory this process may still take. What a training needs is the session's business."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Of a cgroup: where the tree is mounted, the files of limit and use, and what of the use is pages
# of files that the kernel gives back as soon as somebody wants memory.
_V2 = (("", "unified"), "memory.max", "memory.current", "inactive_file")
_V1 = (("memory",), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_NO_LIMIT = 1 << 60  # v1 writes about 2^63 where there is none


def available(root: str | os.PathLike[str] = "/") -> int | None:
    """Return the bytes that this process may still take; None where unknown.

    The least of what the machine has, what the process's own cgroups and those they lie in allow,
    and what ``ulimit`` leaves.

    Parameters
    ----------
    root
        What stands before ``proc`` and ``sys``.
    """
    base = Path(root)
    found = [_machine(base), *_groups(base), *_limits(base)]
    return min((room for room in found if room is not None), default=None)


def readable(size: float) -> str:
    """Return a number of bytes with its unit: ``1.5 GiB``."""
    if size < 1024:
        return f"{size:.0f} bytes"
    units = ("KiB", "MiB", "GiB")
    power = min(int(math.log(size, 1024)), len(units))
    return f"{size / 1024**power:.1f} {units[power - 1]}"


def _machine(base: Path) -> int | None:
    return _entry(base / "proc/meminfo", "MemAvailable:", 1024)


def _groups(base: Path) -> Iterator[int]:
    """Give the room in each cgroup of this process that has a limit."""
    own = {"": "/", "memory": "/"}  # paths by controller; v2 has no name
    for line in _text(base / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        own.update(dict.fromkeys(controllers.split(","), path))
    for kind, path in ((_V2, own[""]), (_V1, own["memory"])):
        mounts, limit, used, reclaimable = kind
        for mount in mounts:
            for folder in _upwards(base / "sys/fs/cgroup" / mount, path):
                most, now = _text(folder / limit), _text(folder / used)
                if most.isdigit() and now.isdigit() and int(most) < _NO_LIMIT:
                    pages = _entry(folder / "memory.stat", reclaimable, 1) or 0
                    yield max(int(most) - max(int(now) - pages, 0), 1)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Give the folder of a cgroup and those it lies in, up to the root of the mount.

    A container may see its own group as that root and still be told a longer path: folders that are
    not there set no limit.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _limits(base: Path) -> Iterator[int]:
    """Give what the limits of address space and of data leave."""
    try:
        import resource  # noqa: PLC0415  (not on every system)
    except ImportError:
        return
    for kind, used in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        most = resource.getrlimit(kind)[0]
        if most != resource.RLIM_INFINITY:
            yield max(most - (_entry(base / "proc/self/status", used, 1024) or 0), 1)


def _entry(path: Path, name: str, unit: int) -> int | None:
    """Return the number in the line that begins with a word, in bytes."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return int(words[1]) * unit
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
