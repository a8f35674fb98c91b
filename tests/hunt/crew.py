"""Worker processes as objects: sends a case, waits for the results, and survives a crash of it."""

import base64
import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 120.0  # seconds for one law on one case; none takes one


@dataclass(frozen=True)
class Result:
    """What one law said of one case."""

    law: str
    kind: str  # "held", "skipped", "failed"
    message: str
    where: str = ""
    seconds: float = 0.0

    @property
    def failed(self):
        return self.kind == "failed"

    @property
    def key(self):
        """Failures of one key are taken for one fault: law, error, place, without numbers."""
        head = self.message.partition(": not the same")[0].split("\n")[0]
        words = [w for w in head.split(":")[:2]]
        plain = "".join("#" if c.isdigit() else c for c in ":".join(words))
        law = self.law if plain.startswith(("Broken", "crashed")) else ""
        return law, " ".join(plain.replace("#", "").split())[:60], self.where


class Worker:
    """One process; made anew when it dies."""

    def __init__(self):
        self._process = None
        self._noise = None

    def run(self, order):
        """Return the results of an order: {"seed": n} or {"case": Case}, and "laws"."""
        if "case" in order:
            order = {**order, "case": base64.b64encode(pickle.dumps(order["case"])).decode()}
        if self._process is None:
            self._begin()
        begun, results = order["laws"][0], []
        try:
            self._process.stdin.write((json.dumps(order) + "\n").encode())
            self._process.stdin.flush()
            while True:
                answer = self._read()
                if answer is None:
                    break
                if "done" in answer:
                    return results
                if "result" in answer:
                    results.append(Result(*answer["result"]))
                else:
                    begun = answer["law"]
        except BrokenPipeError:
            pass
        return [*results, Result(begun, "failed", self._end())]

    def _begin(self):
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )  # fmt: skip

    def _read(self):
        """Return the next answer, or None where the process died or hangs."""
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([pipe], [], [], PATIENCE)
            if not ready:
                self._process.send_signal(signal.SIGABRT)  # faulthandler says where it hangs
                return None
            data = os.read(pipe, 1 << 16)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def _end(self):
        """Return how the process ended, and what it said last."""
        code = self._process.wait()
        self._noise.seek(0)
        said = self._noise.read().decode(errors="replace").strip().splitlines()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._close()
        return "\n".join([f"crashed: {name}", *said[:12]])

    def stop(self):
        """End the process."""
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self):
        self._noise.close()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process = None
