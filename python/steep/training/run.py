"""`Run`: one training: its settings, native session, record, and where it stands. No arguments.

What users give is checked in `trainer` and `data`; how epochs follow each other is `loop`.
"""

import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core, memory, schedules
from ..checks.names import choose
from ..network.body import BUILDING
from ..network.layer import freezes
from . import history, knobs
from .data import Data, checked, warn_of_softmax
from .errors import NonFiniteError
from .history import History
from .hooks import Callbacks, Recorder
from .place import Call, Layout, Place
from .settings import COMMON, Settings

Array: TypeAlias = NDArray[Any]
_AS_THEY_ARE = nullcontext()  # nothing is made that would have to be taken back

# Bytes that are there in any case: to ask the system takes longer than a fit that needs no more.
_SMALL = 1 << 20


class Run:
    """A training, from its first step on; the trainer that users hold is its door."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.knobs = knobs.Knobs(settings)
        self.history = History()  # as `record` left it
        self.place = Place()
        self.logged: list[str] = []  # what the current fit measures, by name
        self.hooks: Callbacks | None = None  # of the current fit
        self.recorder: Recorder | None = None  # of the current fit
        self._session: _core.Session | None = None
        self._native: _core.Network | None = None  # the session's
        self._frozen = -1  # freezes counted when it was made, and what it moves
        self._moved: list[tuple[int, ...]] = []
        self._room_for = 0  # samples of the largest batch that is known to fit into memory
        self._trained_by: int | None = None  # thread of the running fit or step
        self._starting = threading.Lock()
        self._recording = threading.RLock()

    # -- where it stands -----------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return 0 if self._session is None else self._session.epoch

    @property
    def steps(self) -> int:
        """Updates done."""
        return 0 if self._session is None else self._session.steps

    @property
    def trained(self) -> bool:
        """Whether there is a session, on the network as it is."""
        return self._session is not None and self._native is self.settings.net._native

    def record(self) -> History:
        """Bring the history to where the session stands, also where it went back; return it."""
        session = self._session
        if session is None:
            return self.history
        with self._recording:
            losses = self.history.steps["loss"]
            epoch, steps, new, ended = session.record(len(losses))
            self._note_epochs([each for each in ended if len(self.history) <= each[0] < epoch])
            losses[steps - len(new) :] = new.tolist()  # done twice, it is the same
            history.cut(self.history, epoch)
            if self.recorder is not None:
                self.recorder._take_recorded(session)
        return self.history

    def _note_epochs(self, ended: "list[_core.Ended]") -> None:
        """Put the epochs that native calls went past, in their order."""
        if not ended:
            return
        settings, terms = self.settings, self.settings.terms()
        logs = [terms.logs(sums, settings.by_weight) for *_, sums in ended]
        columns = {name: [each[name] for each in logs] for name in logs[0]}
        numbers, steps = (np.array([each[k] for each in ended], float) for k in (0, 1))
        rate = schedules.base.evaluate(settings.rate, steps - 1.0, numbers)
        columns["lr"] = np.broadcast_to(rate, steps.shape).tolist()
        columns["seconds"] = [each[2] for each in ended]
        history.extend(self.history, ended[0][0], columns, len(ended))

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Count the epoch in progress as done, with its numbers."""
        epoch = self.epoch
        with self._recording:
            history.put(self.history, epoch, logs)
            self.session().begin_epoch(next=True)
            # A signal handler between the two may have asked for the history of then.
            history.put(self.history, epoch, logs)

    def states(self) -> list[Any]:
        """Return what a checkpoint keeps of the callbacks."""
        return self.place.states if self.hooks is None else self.hooks.state()

    # -- the session ---------------------------------------------------------------------------

    def session(self) -> _core.Session:
        """Return the native session, made when it is first needed.

        Raises
        ------
        ValueError
            If the losses do not fit the network, or nothing is to be trained.
        RuntimeError
            If it was built again or converted since, or other weights are frozen.
        """
        settings, net = self.settings, self.settings.net
        settings.build()
        if self._session is not None and self._frozen != freezes():
            self._look_at_frozen()
        if self._session is None:
            with BUILDING:  # one session, whoever asks first
                self._begin_session()
        assert self._session is not None
        now = net._native
        kept = (now.precision, now.device) == (settings.precision, settings.device)
        if self._native is not now or not kept:
            raise RuntimeError(
                "Trainer: its network was built again or converted since training began; "
                "make a new Trainer for it"
            )
        return self._session

    def _begin_session(self) -> None:
        settings, native = self.settings, self.settings.net._native
        if self._session is None:
            terms, objectives = settings.terms(), settings.native()
            for each in settings.aims:
                for loss in each.goal.losses.values():
                    each.optimizer._check_fits(loss.name, settings.net.num_parameters)
            warn_of_softmax(settings)
            settings.net._convert(settings.precision, settings.device)
            graph = None if terms.graph is terms.about.graph else terms.graph
            self._session = _core.Session(native, objectives, graph, len(terms.scalars))
            self._native, self._frozen = native, freezes()
            self._moved = [each.assigned.members for each in settings.aims]

    def _look_at_frozen(self) -> None:
        """Make another session where other weights are frozen than when this one was made."""
        for each in self.settings.aims:
            each.forget()
        if self._moved == [each.assigned.members for each in self.settings.aims]:
            self._frozen = freezes()
        elif self.steps:
            raise RuntimeError(
                f"Trainer: other weights were frozen when its {self.steps} steps were done; make a "
                "new Trainer for the same network"
            )
        else:
            self._session = None

    def set(self, name: str, value: Any) -> None:
        """Change a setting; refuse other update rules once steps are done."""
        settings = self.settings
        given = settings.fitting(name, value)
        if name not in COMMON and self._session is not None:
            now, after = settings.assigned, settings.with_(name, given)
            if now.made_with != after.made_with:
                if self.steps or self._trained_by is not None:
                    raise ValueError(
                        f"Trainer: {given!r} updates by the rule {', '.join(after.rules)}, but "
                        f"{self.steps} steps were done by {', '.join(now.rules)}, whose state it "
                        "cannot use. Make a new Trainer for the same network."
                    )
                self._session = None
        settings.take(name, given)

    @contextmanager
    def training(self, what: str) -> Iterator[None]:
        """Be the one `fit` or `step` that runs; a step may stand in a callback of its own fit."""
        me, by, taken = threading.get_ident(), None, False
        try:
            with self._starting:
                by = self._trained_by
                if by is not None and (by != me or what == "fit"):
                    where = "a callback of it" if by == me else "another thread"
                    raise RuntimeError(
                        f"Trainer: {what} was called in {where} while a fit or step of this "
                        "trainer runs; wait for it, or make another Trainer"
                    )
                taken, self._trained_by = True, me  # no call, no Ctrl-C in between
            yield
        finally:
            if taken:
                self._trained_by = by

    def untouched(self) -> AbstractContextManager[None]:
        """Leave network and session as they were where the body refuses something."""
        return self._begun() if self._session is None else _AS_THEY_ARE

    @contextmanager
    def _begun(self) -> Iterator[None]:
        with BUILDING:  # nobody else begins the session meanwhile
            session, net = self._session, self.settings.net
            form = net._native.form() if net.built else None
            try:
                with net._tentative():
                    yield
            except BaseException:
                self._session = session
                if form is not None and session is None:
                    net._native.restore(form)  # it may have been converted for this training
                raise

    # -- use -----------------------------------------------------------------------------------

    def data(self, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Data:
        """Return checked data, and begin the session that takes them; callers stay `untouched`."""
        data = checked(self.settings, X, y, sample_weight, class_weight)
        self.session()
        return data

    def announce(self, called: Callbacks, validated: bool) -> None:
        """Say what a fit is going to measure, and let its callbacks refuse it."""
        before, measured = self.logged, self.settings.terms().names
        held = [f"val_{name}" for name in measured] if validated else []
        self.logged = [*measured, *held, "lr", "seconds"]
        try:
            called.call("on_train_begin", self.epoch, {})
        except BaseException:
            self.logged = before
            raise

    def begin(self, epochs: int, layout: Layout, progress: bool) -> None:
        """Take up a fit: a new one, or the very one that a checkpoint came from."""
        session, place = self.session(), self.place
        if session.progress["batch"] and place.layout != layout:
            if place.loaded:  # after Ctrl-C, other data are a decision; here, likely a mistake
                warnings.warn(
                    f"the checkpoint stands at batch {session.progress['batch']} of an epoch with "
                    f"(samples, batch_size, shuffle, drop_last) = {place.layout}, now {layout}: it "
                    "begins anew",
                    stacklevel=4,
                )
            session.begin_epoch(next=False)
        known = place.call if place.loaded else None
        if known is None or known.epochs != epochs:
            known = Call(self.epoch, epochs)
        if not place.loaded:
            place.states = []
        if known.done and progress:
            print(
                f"fit: this fit of {epochs} epochs was over when its checkpoint was written; "
                "call fit again to train on",
                file=sys.stderr,
            )
        place.call, place.layout, place.loaded = known, layout, False

    def step(self, data: Data) -> float:
        """Do one update and return the loss before it."""
        session = self.session()
        before = session.steps
        table = self.knobs.row(before, session.epoch)
        self.place.loaded = False
        try:
            session.set_batch(*data)
            # Ctrl-C may have stopped it, and its handler not have raised: then once more.
            known = min(len(self.history.steps["loss"]), before)
            while (done := session.run(table, known, 1.0)) < 1:
                if done == 0:
                    self.refuse_fault()
        finally:
            session.release_data()
        self.record()
        return self.history.steps["loss"][before]

    def gradients(self, data: Data, name: str | None) -> tuple[float, dict[str, Array]]:
        """Return an objective of one batch and its gradients by name."""
        session, number = self.session(), 0
        if name is not None:
            known = {each.name: k for k, each in enumerate(self.settings.aims) if each.name}
            number = choose("objective", name, known)
        penalties = knobs.penalties(self.settings.aims[number], self.steps, self.epoch)
        now = knobs.scalars_now(self.settings, self.steps, self.epoch)
        loss, found = session.gradients(*data, *penalties, objective=number, scalars=now)
        names = (name for name, _ in self.settings.net._native.parameters())
        return loss, {name: found[name] for name in names if name in found}

    def averaged(self) -> dict[str, Array]:
        """Return the average of the weights by name, with the statistics as they are."""
        settings, session = self.settings, self.session()
        weights, slots, progress = session.copy_out()
        found = dict(weights)
        for each in settings.aims:
            prefix, average = f"{each.name}/" if settings.others else "", each.average
            slot = prefix + ("ax" if average is None else "average")
            if slot not in slots:
                continue
            begun = average is None or average.begun(progress["steps"], progress["epoch"])
            if not begun or not progress["steps"]:
                raise RuntimeError(f"Trainer: there is no average of the weights yet: {average!r}")
            trained = settings.net._native.trained
            found |= {name: value for name, value in slots[slot].items() if trained(name)}
        if not {slot.rsplit("/")[-1] for slot in slots} & {"ax", "average"}:
            raise RuntimeError(
                "Trainer: keeps no average of the weights; make it with average=, as EMA()"
            )
        return found

    def measure(self, data: Data, batch_size: int = 256) -> dict[str, float]:
        """Return loss and metrics."""
        settings, session = self.settings, self.session()
        terms, at = settings.terms(), (0.0, 0.0)
        if terms.scheduled:
            at = (float(session.steps), float(session.epoch))
        totals = session.evaluate(*data, batch_size)
        counts, samples = settings.reduction == "mean", float(data.samples)
        sums = []
        for term, (loss, right, weight) in zip(terms.terms, totals, strict=True):
            count = samples
            if counts and not term.by_sample:
                count = float(terms.counted(term, data))
            sums.append((loss, terms.weight(term, at) * loss, right, weight, count))
        return terms.logs(sums, settings.by_weight)

    def refuse_fault(self) -> None:
        """Raise NonFiniteError where the session's last run met a value that is not finite."""
        session = self.session()
        fault = session.fault
        if fault is not None:
            self.record()
            raise NonFiniteError(session.steps + 1, session.epoch + 1, **fault)

    def verify(self, always: bool = True) -> None:
        """Raise NonFiniteError where the optimizer's state holds what is not finite."""
        if not self.session().verify(always):
            self.refuse_fault()

    def memory(self, batch_size: int) -> dict[str, int]:
        """Return the bytes that training on such batches takes, by what they are for."""
        found = dict(self.session().memory(batch_size))
        return {**found, "total": sum(found.values())}

    def refuse_too_large(self, batch_size: int) -> None:
        """Refuse what cannot fit into memory; what is there already counts as had."""
        if batch_size <= self._room_for:
            return
        had, wanted = self.session().memory(), self.memory(batch_size)
        need = wanted["total"] - had["store"]
        if wanted["arena"] <= had["arena"]:
            need -= wanted["arena"]  # the plan there is serves; a larger one comes beside it first
        room = None if need <= _SMALL else memory.available()
        if room is None or need <= room:
            self._room_for = batch_size
            return
        parts = ", ".join(f"{name} {memory.readable(wanted[name])}" for name in ("store", "arena"))
        raise MemoryError(
            f"fit: batch_size={batch_size} needs {memory.readable(need)} more ({parts}), "
            f"{memory.readable(room)} are free. Take a smaller batch_size"
            f", or recompute=True in Residual layers."
        )
