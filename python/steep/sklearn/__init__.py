"""Estimators of scikit-learn that train natively; needs the extra ``sklearn``.

`MLPClassifier` and `MLPRegressor` take scikit-learn's parameters and give its attributes,
`NetClassifier` and `NetRegressor` wrap any network. All run whole epochs in single native calls, on
one thread inside joblib's workers. The same data, settings and `random_state` give the same bytes.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "steep.sklearn needs scikit-learn: `pip install 'steep[sklearn]'` or "
        "`pip install scikit-learn`"
    ) from error

from ..checks.foreign import explain
from .mlp import MLPClassifier, MLPRegressor
from .net import NetClassifier, NetRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NetClassifier",
    "NetRegressor",
]

for _kind in (MLPClassifier, MLPRegressor, NetClassifier, NetRegressor):
    explain(_kind)
