"""The training loop: native calls over a table of hyper-parameters, one epoch after another.

Python runs between the native calls only. What can be wrong with the input was refused before.
"""

from typing import Any

from .data import Data
from .hooks import Callbacks
from .interrupt import Interrupt
from .nonfinite import Policy
from .progress import Progress
from .run import Run

SHOWN = ("loss", "accuracy")  # of epochs that Python did not end
BUDGET = 0.05  # seconds a native call may take: Ctrl-C and progress wait that long


class Loop:
    """One `fit`, as `Run.begin` took it up: epochs from where the run stands to its last one."""

    def __init__(
        self,
        run: Run,
        data: Data,
        validation: Data | None,
        callbacks: Callbacks,
        *,
        progress: bool,
        augment: tuple[bool, int, int, list[float]] | None = None,
        at_once: int = 0,
        nonfinite: str = "raise",
    ) -> None:
        self.run, self.place, self.session = run, run.place, run.session()
        self.validation, self.callbacks = validation, callbacks
        assert self.place.layout is not None and self.place.call is not None
        samples, self.batch_size, shuffle, drop_last = self.place.layout
        self.data = (*data, self.batch_size, shuffle, drop_last, augment, at_once)
        self.call = self.place.call
        self.last = self.call.first + self.call.epochs
        self.batches = (samples if drop_last else samples + self.batch_size - 1) // self.batch_size
        self.samples = min(samples, self.batches * self.batch_size)  # of an epoch
        self.knobs = run.knobs
        self.knobs.forget()
        self.progress = Progress(progress, self.samples, run.epoch, self.last)
        self.shown = progress
        # Epochs that nobody asks after go on without coming back.
        self.unseen = not callbacks.present and validation is None and nonfinite != "rollback"
        self.interrupt = Interrupt()
        self.policy = Policy(nonfinite, run, self.batches)
        self.ended = False  # a method has nothing left to gain, or no evaluation left
        self._data_set = -1  # which the session had when it was given ours

    def train(self) -> None:
        """Train to the end; however that comes, the callbacks' states are kept."""
        run, place = self.run, self.place
        states, place.states, run.hooks = place.states, [], self.callbacks
        recorder = self.callbacks.recorder
        try:
            with run.settings.net._in_use():
                if recorder is not None:
                    self.session.set_recording(recorder.every)
                    run.recorder = run.history.recorder = recorder
                self._epochs(states)
        finally:
            try:
                place.states = self.callbacks.state()
            finally:
                run.hooks = None
                if recorder is not None:
                    run.recorder = None
                    self.session.set_recording(0)
                self.session.release_data()

    def _epochs(self, states: list[Any]) -> None:
        """Train; `states` are those of callbacks in the checkpoint this goes on from."""
        run, call = self.run, self.call
        logs: dict[str, float] = {}
        with self.interrupt:
            try:
                self.callbacks.restore(states)
                while run.epoch < self.last and not call.stopped:
                    if not self._steps():
                        break
                    logs = self._epoch_logs()
                    self.interrupt.check()
                    if self._epoch_end(logs):
                        self.interrupt.check()
                run.verify()
                call.done = True
            finally:
                self.progress.close()
                # After a fault, too: the best weights are better than the last ones.
                self.callbacks.end(run.epoch, logs)
            self.place.call = None

    def _steps(self) -> bool:
        """Do what is left of the epoch in progress; False where a callback stopped it."""
        session, run = self.session, self.run
        while (at := session.progress)["batch"] < self.batches:
            if session.data_set != self._data_set:
                session.set_data(*self.data)
                self._data_set = session.data_set
                self.interrupt.check()  # that took its time
            self.policy.begin(at["epoch"])
            ahead = self.batches - at["batch"]
            left = ahead + (self.last - at["epoch"] - 1) * self.batches
            table = self.knobs.rows(at["steps"], at["epoch"], at["batch"], self.batches, left)
            due = self.callbacks.steps_until(at["steps"])
            if self.unseen and not self.knobs.calls_python():
                ahead = left
            count = min(ahead, len(table), ahead if due is None else due)
            known = min(len(run.history.steps["loss"]), at["steps"])
            done = session.run(table[:count], known, BUDGET)
            self.ended = session.ended
            if done > 0:
                self.place.rate = self.knobs.rate(at["steps"] + done - 1)
            run.record()
            if 0 <= done < count:
                self.policy.check()
            if run.epoch > at["epoch"]:
                self.policy.verify(always=False)
                if self.shown:
                    self._show_ended(at["epoch"])
            if due is not None and done == due and self._step_end():
                self.call.stopped = True
                return False
            if self.callbacks.between_calls():
                return False
            self.interrupt.check()
            if self.progress.due:
                at = session.progress
                shown = min(at["batch"] * self.batch_size, self.samples)
                self.progress.update(at["epoch"], shown, self._running())
        return True

    def _show_ended(self, first: int) -> None:
        """Show the epochs that a native call ended, from `first` on."""
        columns = self.run.history.history
        for epoch in range(first, self.run.epoch):
            self.progress.epoch_end(epoch, {n: v[epoch] for n, v in columns.items() if n in SHOWN})

    def _step_end(self) -> bool:
        with self.interrupt.at_once():  # nothing is between two states
            stop = self.callbacks.call("on_step_end", self.run.steps, self._running())
        self.knobs.forget()
        return stop

    def _running(self) -> dict[str, float]:
        """Return losses and accuracies of the epoch in progress."""
        settings = self.run.settings
        return settings.terms().logs(self.session.progress["sums"], settings.by_weight)

    def _epoch_logs(self) -> dict[str, float]:
        """Return the numbers of the epoch, validation included; changes nothing."""
        logs = self._running()
        at = self.session.progress
        if self.validation is not None:
            with self.interrupt.at_once():  # nothing moves meanwhile
                measured = self.run.measure(self.validation)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        rate = self.place.rate  # of the last step; settings may have changed since
        if rate is None:
            rate = self.run.settings.optimizer.value("lr", max(at["steps"] - 1, 0), at["epoch"])
        logs["lr"] = rate
        logs["seconds"] = at["seconds"]
        return logs

    def _epoch_end(self, logs: dict[str, float]) -> bool:
        """Count the epoch as done; False where some of its steps are to be done yet."""
        run, epoch = self.run, self.run.epoch
        if not self.policy.verify(always=self.callbacks.present):
            return False
        run.end_epoch(logs)
        self.progress.epoch_end(epoch, logs)
        with self.interrupt.at_once():
            if self.callbacks.call("on_epoch_end", epoch, logs):
                self.call.stopped = True
        if self.ended:
            self.call.stopped = True
        self.knobs.forget()
        return True
