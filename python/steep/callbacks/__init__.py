"""What happens between epochs: early stopping, checkpoints, logs, and how callbacks are called.

A callback is any object with some of these methods::

    on_train_begin(trainer, logs)          # before the first step
    on_epoch_end(trainer, epoch, logs)     # epoch counts from 0; logs: loss, val_loss, ...
    on_step_end(trainer, step, logs)       # after every `every` steps, an attribute (1 if missing)
    on_train_end(trainer, logs)            # also after Ctrl-C and after a non-finite loss

A method may leave out arguments it does not want, by name: ``on_epoch_end(self, epoch, logs)``
works as in Keras. ``return "stop"`` ends the training. With ``state_dict()`` and
``load_state_dict(state)`` a callback's own state goes into checkpoints.
"""

from .recorder import Recorder
from .watching import EarlyStopping, ReduceOnPlateau
from .writing import Checkpoint, CSVLog, TensorBoard

__all__ = ["CSVLog", "Checkpoint", "EarlyStopping", "Recorder", "ReduceOnPlateau", "TensorBoard"]
