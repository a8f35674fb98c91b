"""How much memory this process may still take. What a training needs is the session's business."""

import math
from pathlib import Path

_LIMITS = (  # cgroup v2, then v1: limit, in use
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def available() -> int | None:
    """Return the bytes that the machine and this container still have; None where unknown."""
    found = [room for room in (_machine(), *(_container(*pair) for pair in _LIMITS)) if room]
    return min(found, default=None)


def readable(size: float) -> str:
    """Return a number of bytes with its unit: ``1.5 GiB``."""
    if size < 1024:
        return f"{size:.0f} bytes"
    units = ("KiB", "MiB", "GiB")
    power = min(int(math.log(size, 1024)), len(units))
    return f"{size / 1024**power:.1f} {units[power - 1]}"


def _machine() -> int | None:
    text = _text("/proc/meminfo")
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container(limit: str, used: str) -> int | None:
    most, now = _text(limit), _text(used)
    if not most.isdigit() or not now.isdigit() or int(most) >= 1 << 60:
        return None
    return max(int(most) - int(now), 1)


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
