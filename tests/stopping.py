"""A training that stops at a step, as tests of resuming want it. No test lives here."""


class StopError(Exception):
    pass


class StopAt:
    """Ends a training after so many steps by an error; saves it before, where a path is given."""

    def __init__(self, step, path=None, error=StopError):
        self.step, self.path, self.error = step, path, error

    def on_step_end(self, trainer, step):
        if step != self.step:
            return
        if self.path is not None:
            trainer.save(self.path)
        raise self.error
