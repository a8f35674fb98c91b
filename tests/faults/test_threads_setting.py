"""How many threads and how much memory: blocks, environment, cgroups, and where steep cannot be."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import steep
from steep import _core, layers, memory


def python(code, **environment):
    """Run code in a process of its own, which may hang."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_f38_overlapping_blocks_in_two_threads_leave_nothing_behind():
    before = steep.get_num_threads()
    inside, left = threading.Event(), threading.Event()
    seen = {}

    def first():
        with steep.threads(before + 1):
            inside.set()
            left.wait(30)
            seen["first"] = steep.get_num_threads()
        seen["first after"] = steep.get_num_threads()

    worker = threading.Thread(target=first)
    worker.start()
    inside.wait(30)
    seen["main"] = steep.get_num_threads()
    with steep.threads(before + 2):  # begins inside the other block and ends before it
        seen["second"] = steep.get_num_threads()
        thread = threading.Thread(target=lambda: seen.update(new=steep.get_num_threads()))
        thread.start()
        thread.join()
    left.set()
    worker.join()
    assert seen == {
        "main": before,
        "second": before + 2,
        "new": before,
        "first": before + 1,
        "first after": before,
    }
    assert steep.get_num_threads() == before


def test_f38_many_threads_of_blocks_at_random():
    before = steep.get_num_threads()
    wrong = []

    def work(seed):
        random = np.random.default_rng(seed)

        def nest(depth, outer):
            for n in random.integers(1, 9, 3).tolist():
                with steep.threads(n):
                    time.sleep(0.0002)  # lets the others in
                    if steep.get_num_threads() != n:
                        wrong.append((seed, depth))
                    if depth:
                        nest(depth - 1, n)
                if steep.get_num_threads() != outer:
                    wrong.append((seed, depth))

        nest(3, before)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert steep.get_num_threads() == before


def test_f38_the_default_may_change_inside_a_block():
    before = steep.get_num_threads()
    try:
        with steep.threads(before + 3):
            steep.set_num_threads(before + 1)
            assert steep.get_num_threads() == before + 3
            seen = []
            other = threading.Thread(target=lambda: seen.append(steep.get_num_threads()))
            other.start()
            other.join()
            assert seen == [before + 1]
        assert steep.get_num_threads() == before + 1
    finally:
        steep.set_num_threads(before)


def test_f38_blocks_that_end_in_another_order_leave_nothing_behind():
    before = steep.get_num_threads()

    async def task(n, own, other):
        with steep.threads(n):
            own.set()
            await other.wait()

    async def both():
        a, b, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(task(before + 1, a, b))
        await a.wait()
        second = asyncio.create_task(task(before + 2, b, end))
        await first  # the outer block ends inside the inner one
        assert steep.get_num_threads() == before + 2
        end.set()
        await second

    asyncio.run(both())
    assert steep.get_num_threads() == before


def test_f38_limits_of_threads_that_train_at_once_change_no_byte():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(256, 64)).astype(np.float32), random.integers(0, 5, 256)

    def trained():
        trainer = steep.Trainer(
            steep.Sequential(layers.Dense(128, "relu"), layers.Dense(5)), "cross_entropy", "adam"
        )
        trainer.fit(X, y, epochs=4, batch_size=64, progress=False)
        return b"".join(v.tobytes() for v in trainer.net.state_dict().values())

    want, found = trained(), []

    def work(n):
        for _ in range(3):
            with steep.threads(n):
                found.append(trained() == want)

    workers = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 9
    assert all(found)


@pytest.mark.parametrize(
    "value", ["abc", "0", "-3", "2.5", "1x", "x1", "99999999999", "4097", "4,2"]
)
def test_f38_a_number_of_threads_that_is_none_is_refused_at_import(value):
    done = python("import steep", STEEP_NUM_THREADS=value)
    assert done.returncode == 1
    assert "STEEP_NUM_THREADS: expects a whole number from 1 to 4096" in done.stderr
    assert f'got "{value}"' in done.stderr


@pytest.mark.parametrize(
    ("own", "openmp", "threads"),
    [
        ("3", "5", 3),
        (" 3 ", "5", 3),
        ("4096", "5", 4096),
        ("", "5", 5),
        ("", "4,2", 4),
        ("", "abc", None),
        ("", "0", None),
        ("", "-2", None),
        ("", "2.5", None),
        ("", "3x", None),
        ("", "99999999999", None),
        ("", "", None),
    ],
)
def test_f38_what_the_environment_says(own, openmp, threads):
    code = "import steep; print(steep.get_num_threads(), steep.info()['cpus'])"
    done = python(code, STEEP_NUM_THREADS=own, OMP_NUM_THREADS=openmp)
    assert done.returncode == 0, done.stderr
    got, cpus = map(int, done.stdout.split())
    assert got == (cpus if threads is None else threads)


def test_f38_an_unknown_instruction_set_is_refused_at_import():
    done = python("import steep", STEEP_MAX_ISA="sse9")
    assert done.returncode == 1
    assert "STEEP_MAX_ISA: expects baseline, avx2, avx512 or amx" in done.stderr


SUBINTERPRETER = """
import sys
{first}
try:
    import _xxsubinterpreters as interpreters
    interpreters.run_string
except (ImportError, AttributeError):
    import _interpreters as interpreters
code = '''
import warnings
warnings.simplefilter("ignore")
try:
    import steep
except ImportError as error:
    print("refused:", error, flush=True)
else:
    print("works:", steep.get_num_threads(), flush=True)
'''
try:
    failed = interpreters.run_string(interpreters.create(), code)
except Exception as error:
    failed = error
print("over", failed, flush=True)
"""


@pytest.mark.parametrize("first", ["", "import steep"])
def test_f45_a_subinterpreter_is_refused_by_name(first):
    pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    try:
        done = python(SUBINTERPRETER.format(first=first))
    except subprocess.TimeoutExpired:
        pytest.fail("the import hangs")
    assert "over None" in done.stdout, done.stdout + done.stderr
    assert "refused:" in done.stdout
    if not first and sys.version_info < (3, 12):  # else NumPy may be refused before steep
        assert "steep cannot be imported in a subinterpreter" in done.stdout


def files(root, contents):
    for path, text in contents.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(root)


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"
OWN = "proc/self/cgroup"
# files, processors
QUOTAS = [
    ({}, 0),
    ({f"{V2}/cpu.max": "max 100000"}, 0),
    ({f"{V2}/cpu.max": "250000 100000"}, 3),
    ({f"{V2}/cpu.max": "1000 100000"}, 1),
    ({OWN: "0::/a/b\n", f"{V2}/a/b/cpu.max": "200000 100000"}, 2),
    ({OWN: "0::/a/b\n", f"{V2}/a/b/cpu.max": "max 100000", f"{V2}/a/cpu.max": "400000 100000"}, 4),
    ({OWN: "0::/a/b\n", f"{V2}/a/b/cpu.max": "400000 100000", f"{V2}/a/cpu.max": "150000 100000"},
     2),
    ({OWN: "0::/a\n", f"{V2}/b/cpu.max": "100000 100000"}, 0),  # another's
    ({OWN: "0::/gone/away\n", f"{V2}/cpu.max": "200000 100000"}, 2),  # as a container sees itself
    ({OWN: "0::/../x\n", f"{V2}/cpu.max": "200000 100000"}, 2),
    ({OWN: "0::/\n", f"{V2}/unified/cpu.max": "200000 100000"}, 2),
    ({OWN: "7:pids:/a\n4:cpu,cpuacct:/a/b\n", f"{V1}/a/cpu.cfs_quota_us": "300000",
      f"{V1}/a/cpu.cfs_period_us": "100000", f"{V1}/a/b/cpu.cfs_quota_us": "-1",
      f"{V1}/a/b/cpu.cfs_period_us": "100000"}, 3),
    ({OWN: "4:cpu:/a\n0::/\n", f"{V2}/cpu/a/cpu.cfs_quota_us": "50000",
      f"{V2}/cpu/a/cpu.cfs_period_us": "100000"}, 1),
    ({OWN: "nonsense\n::::\n0::/a:b\n", f"{V2}/a:b/cpu.max": "500000 100000"}, 5),
    ({f"{V2}/cpu.max": "abc def"}, 0),
    ({f"{V2}/cpu.max": "-5 0"}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("contents", "cpus"), QUOTAS)
def test_f59_quotas_of_the_own_cgroup_and_those_around_it(tmp_path, contents, cpus):
    assert _core.quota_cpus(files(tmp_path, contents)) == cpus


MEMINFO = "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"
KIB = 1024


def v2(folder, limit, used, pages=0):
    return {
        f"{V2}{folder}/memory.max": f"{limit}\n",
        f"{V2}{folder}/memory.current": f"{used}\n",
        f"{V2}{folder}/memory.stat": f"anon 7\ninactive_file {pages}\nactive_file 9\n",
    }


def v1(folder, limit, used, pages=0):
    base = f"{V2}/memory{folder}"
    return {
        f"{base}/memory.limit_in_bytes": f"{limit}\n",
        f"{base}/memory.usage_in_bytes": f"{used}\n",
        f"{base}/memory.stat": f"inactive_file 1\ntotal_inactive_file {pages}\n",
    }


# files, bytes that are left
ROOMS = [
    ({}, None),
    ({"proc/meminfo": MEMINFO}, 8000 * KIB),
    ({"proc/meminfo": MEMINFO, **v2("", 5000, 2000)}, 3000),
    ({"proc/meminfo": MEMINFO, **v2("", "max", 2000)}, 8000 * KIB),
    (v2("", 5000, 4000, 1500), 2500),  # pages of files are given back
    (v2("", 5000, 4000, 9000), 5000),
    (v2("", 5000, 6000), 1),
    ({OWN: "0::/a/b\n", **v2("/a/b", 5000, 2000), **v2("/a", 4000, 3000)}, 1000),
    ({OWN: "0::/a/b\n", **v2("/a/b", 5000, 2000), **v2("/c", 4000, 3999)}, 3000),
    ({OWN: "0::/gone\n", **v2("", 5000, 2000)}, 3000),
    ({OWN: "0::/../../gone\n", **v2("", 5000, 2000)}, 3000),
    ({OWN: "4:memory:/a\n0::/\n", **v1("/a", 5000, 2000, 500), **v1("", 1 << 62, 10)}, 3500),
    ({OWN: "4:memory:/docker/x\n", **v1("", 5000, 2000)}, 3000),
    ({OWN: "4:cpu,memory:/a\n", **v1("/a", 5000, 2000), "proc/meminfo": "\n"}, 3000),
    ({OWN: "garbage", **v2("", "abc", 2000), "proc/meminfo": "MemAvailable: x kB"}, None),
]


@pytest.mark.parametrize(("contents", "room"), ROOMS)
def test_f59_memory_of_the_own_cgroup_and_those_around_it(tmp_path, contents, room):
    assert memory.available(files(tmp_path, contents)) == room


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_f59_limits_of_the_process_are_respected(tmp_path, kind):
    pytest.importorskip("resource")
    root = files(tmp_path, {"proc/meminfo": "MemAvailable: 99999999999 kB\n"})
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/status").symlink_to("/proc/self/status")  # of whoever reads it
    done = python(f"""
import resource
from steep import memory
before = memory.available({root!r})
resource.setrlimit(resource.{kind}, (1 << 34, 1 << 34))
after = memory.available({root!r})
held = bytearray(64 << 20)
print(before, after, after - memory.available({root!r}), memory.available() <= after)
""")
    assert done.returncode == 0, done.stderr
    before, after, taken, inside = done.stdout.split()
    assert int(before) == 99999999999 * KIB
    assert 0 < int(after) < 1 << 34
    assert 63 << 20 < int(taken) < 70 << 20
    assert inside == "True"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc to count threads")
def test_f38_workers_of_a_larger_block_end_after_it():
    net = steep.Sequential(layers.Dense(512), layers.Dense(512)).build(512)
    X = np.zeros((512, 512), np.float32)

    def there():
        net.predict(X, 512)
        return len(os.listdir("/proc/self/task"))

    with steep.threads(2):
        few = there()
        with steep.threads(8):
            assert there() == few + 6
        assert there() == few
