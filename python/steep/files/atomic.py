"""Files put in place whole or not at all, whoever else writes or dies. What is in them: elsewhere.

A file is written beside its target under a name of its own, synced, and renamed. Its writer holds a
lock (flock) on it meanwhile, which the kernel lets go when the writer dies: a file beside without a
lock is what a killed writer left. Process ids would not tell: two containers may both be number 1.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

_LONGEST = 150  # bytes of the target's name that are repeated in the name beside it
_HOUR = 3600.0  # seconds after which even another machine's file is left over
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(path: str | PathLike[str], data: bytes) -> None:
    """Put a file in place: write beside it, fsync, rename, fsync the folder.

    A symbolic link is followed: what it points to is replaced. An existing file keeps its mode and,
    where this process may give it away, its owner; a new one gets what the umask leaves. Of several
    writers at once the last one wins. What killed writers left beside this target is removed.

    Raises
    ------
    OSError
        If it cannot be written; names the path. The old file is whole then, nothing is left beside.
    """
    with _named(path):
        target, old = _target(path)
        _sweep(target)
        # Only where locks do not reach another machine can a file beside be swept while it is
        # written: it is written again then.
        while not _replaced(target, old, data):
            pass
        _sync_folder(target.parent)


def check_writable(path: str | PathLike[str]) -> None:
    """Refuse a path that `replace` could not write, before there is anything to lose.

    Raises
    ------
    OSError
        Saying which path and why.
    """
    with _named(path):
        target, _ = _target(path)
        with _beside(target):
            pass


@contextlib.contextmanager
def _named(path: str | PathLike[str]) -> Iterator[None]:
    """Have every error name the path that was asked for."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write here: {reason}", str(path)) from None


def _target(path: str | PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the file at the end of all links, and what it is now, None where it is not yet."""
    target = Path(os.path.realpath(Path(path)))
    try:
        old = target.stat()
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file in it")
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "is no regular file; name one, or a new one")
    return target, old


def _replaced(target: Path, old: os.stat_result | None, data: bytes) -> bool:
    """Write beside and rename; say whether the file beside was still there to be renamed."""
    with _beside(target) as (descriptor, beside):
        if old is not None:
            _take_over(descriptor, old)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
        try:
            os.replace(beside, target)
        except FileNotFoundError:
            if not target.parent.exists():
                raise
            return False
    return True


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[tuple[int, Path]]:
    """Make a new, locked file beside the target; it is gone, or renamed, in the end."""
    while True:
        beside = target.with_name(f"{_prefix(target)}{_machine()}-{secrets.token_hex(8)}.tmp")
        descriptor = os.open(beside, _NEW, 0o666)
        try:
            with contextlib.suppress(OSError):  # file systems without locks: nobody sweeps there
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.lexists(beside):  # else swept between the two calls above
                yield descriptor, beside
                return
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
            os.close(descriptor)  # last: while it is locked nobody else looks at the name


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give the new file the mode of the old one and, where that is allowed, its owner and group."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            try:
                os.fchown(descriptor, -1, old.st_gid)
            except OSError:  # what the old group might do is not for another group
                mode &= ~0o070 | (mode & 0o007) << 3
    if mode != stat.S_IMODE(new.st_mode):  # some file systems know one mode only
        os.fchmod(descriptor, mode)


def _sweep(target: Path) -> None:
    """Remove what killed writers of this target left beside it, never what a living one writes."""
    prefix = _prefix(target)
    ours = re.compile(re.escape(prefix) + r"(?:([0-9a-f]{8})-[0-9a-f]{16}|[0-9]+)\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            found = ours.fullmatch(entry.name) if entry.name.startswith(prefix) else None
            if found is not None:
                with contextlib.suppress(OSError):
                    # A lock is known on its own machine; elsewhere, and to the names without one
                    # that steep once gave, only time tells.
                    _remove_unlocked(entry.path, 0.0 if found[1] == _machine() else _HOUR)


def _remove_unlocked(path: str, least_age: float) -> None:
    """Remove a regular file that nobody has locked and nobody has written to for some seconds."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) and time.time() - about.st_mtime >= least_age:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name last; where a folder cannot be synced the file is in place all the same."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    """Return how names beside a target begin; names have 255 bytes at most."""
    name = os.fsencode(target.name)
    short = target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()[:32]
    return f".{short}."


@functools.cache
def _machine() -> str:
    """Return eight letters that all processes under this kernel share, containers too."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        text = os.uname().nodename.encode()
    return hashlib.sha256(text).hexdigest()[:8]
