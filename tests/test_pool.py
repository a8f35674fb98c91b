"""The thread pool: fork, several Python threads, changing counts, and quiet when nothing trains."""

import os
import threading
import time

import cases
import numpy as np
import pytest
import steep

CASE = cases.NETWORKS["plain"]


def trained(seed=0, epochs=2):
    X, y = CASE.data(seed=seed)
    trainer = CASE.trainer(seed=seed)
    trainer.fit(X, y, epochs=epochs, batch_size=CASE.batch, progress=False)
    return b"".join(value.tobytes() for value in trainer.net.state_dict().values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_fork_after_training_and_train_in_the_child():
    with steep.threads(2):
        want = trained()
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                same = trained() == want and steep.get_num_threads() == 2
                os.write(writes, b"same" if same else b"other")
            finally:
                os._exit(0)
        os.close(writes)
        deadline = time.monotonic() + 60
        done = 0
        while not done and time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if not done:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        assert status == 0
        with os.fdopen(reads, "rb") as pipe:
            assert pipe.read() == b"same"
        assert trained() == want  # and the parent's pool is as it was


def test_two_python_threads_train_at_once():
    with steep.threads(2):
        alone = {seed: trained(seed, 6) for seed in range(3)}
        found = {}
        barrier = threading.Barrier(3)

        def work(seed):
            barrier.wait()
            found[seed] = trained(seed, 6)

        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert found == alone


def test_predicting_while_another_trains():
    X, _ = CASE.data()
    net = CASE.net().build(CASE.inputs, seed=5)
    want = net.predict(X).tobytes()
    stop = threading.Event()
    wrong = []

    def predict():
        while not stop.is_set():
            wrong.append(net.predict(X).tobytes() != want)

    with steep.threads(2):
        alone = trained(1, 4)
        worker = threading.Thread(target=predict)
        worker.start()
        try:
            assert trained(1, 4) == alone
        finally:
            stop.set()
            worker.join()
    assert wrong
    assert not any(wrong)


def test_the_count_may_change_between_and_during_runs():
    want = trained()
    for threads in (1, 8, 2, 5, 1, 3):
        steep.set_num_threads(threads)
        assert steep.get_num_threads() == threads
        assert trained() == want

    class Change:
        def on_step_end(self, step):
            steep.set_num_threads(1 + step % 4)

    X, y = CASE.data(seed=0)
    trainer = CASE.trainer(seed=0)
    trainer.fit(X, y, epochs=2, batch_size=CASE.batch, progress=False, callbacks=[Change()])
    assert b"".join(v.tobytes() for v in trainer.net.state_dict().values()) == want


def test_surplus_threads_end():
    tasks = "/proc/self/task"
    if not os.path.isdir(tasks):
        pytest.skip("needs /proc to count threads")
    steep.set_num_threads(8)
    trained()
    most = len(os.listdir(tasks))
    steep.set_num_threads(2)
    trained()
    assert len(os.listdir(tasks)) <= most - 6


def test_the_context_restores_the_count_after_an_error():
    before = steep.get_num_threads()
    with pytest.raises(ZeroDivisionError), steep.threads(before + 3):
        assert steep.get_num_threads() == before + 3
        raise ZeroDivisionError
    assert steep.get_num_threads() == before


def test_an_idle_pool_sleeps():
    """Half a second in which nothing trains costs the process next to no processor time."""
    with steep.threads(4):
        trained()
        time.sleep(0.1)  # workers look around for some milliseconds before they sleep
        before = time.process_time()
        time.sleep(0.5)
        spent = time.process_time() - before
    assert spent < 0.05  # four spinning workers would take seconds, on any number of cores 0.5


def test_many_jobs_of_changing_size_meet_no_deadlock():
    """Small and large batches in turn: some jobs take one thread, some all of them."""
    random = np.random.default_rng(0)
    trainer = CASE.trainer()
    with steep.threads(3):
        for k in range(120):
            rows = (1, 128, 7, 300)[k % 4]
            trainer.step(
                random.standard_normal((rows, CASE.inputs)).astype(np.float32),
                random.integers(0, CASE.outputs, rows),
            )
    assert trainer.steps == 120
