"""Data sets and readers: everything that turns files into arrays. Nothing here trains."""

from .augment import Augment
from .dataset import Dataset, open_dataset
from .graph import Graph
from .idx import read_idx
from .image_folder import images
from .image_sets import load, load_idx_folder
from .npz_file import read_npz
from .quantiles import quantile_edges
from .samples import Samples, read_csv
from .sparse import Sparse
from .split import split
from .table import Table
from .target import Target, read_target
from .text import Text, streams, windows
from .toy import elephants_and_dogs
from .ts_file import Series, read_ts

__all__ = [
    "Augment",
    "Dataset",
    "Graph",
    "Samples",
    "Series",
    "Sparse",
    "Table",
    "Target",
    "Text",
    "elephants_and_dogs",
    "images",
    "load",
    "load_idx_folder",
    "open_dataset",
    "quantile_edges",
    "read_csv",
    "read_idx",
    "read_npz",
    "read_target",
    "read_ts",
    "split",
    "streams",
    "windows",
]
