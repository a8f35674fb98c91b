"""Runs jobs on several threads of Python at once, each with one native thread. No jobs live here.

Native calls let go of the GIL, so that each job has a core to itself.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..checks.numbers import whole
from ..threads import get_num_threads, threads

Item = TypeVar("Item")
Found = TypeVar("Found")


def count_of(who: str, workers: Any) -> int:
    """Return how many jobs run at once: as many as there are threads where nothing is said."""
    return get_num_threads() if workers is None else whole(who, "workers", workers)


def spread(
    job: Callable[[Item], Found],
    items: Iterable[Item],
    workers: int,
    stop: Callable[[], object] = lambda: None,
) -> list[Found]:
    """Return what the job gives for each item, in their order.

    On the first exception, Ctrl-C too, `stop` is called, jobs that wait are dropped, those that run
    are waited for, and it is raised.
    """

    def alone(item: Item) -> Found:
        with threads(1):
            return job(item)

    with ThreadPoolExecutor(workers, thread_name_prefix="steep") as pool:
        futures: list[Future[Found]] = []
        try:
            futures += (pool.submit(alone, item) for item in items)
            return [future.result() for future in futures]
        except BaseException:
            stop()
            for future in futures:
                future.cancel()
            raise
