"""Chooses the fastest of several ways to have PyTorch do the same work."""

import torch


def best(options):
    """Prepare each (note, make) and keep the work that is fastest."""
    kept, least = None, float("inf")
    for note, make in options:
        torch._dynamo.reset()
        work = make()
        work.note = note
        work.calibrate(0.05)
        seconds = min(work.measure() for _ in range(2))
        if seconds < least:
            kept, least = work, seconds
        del work
    return kept
