"""The documents tell the truth: their Python blocks run, and the reference has what is public.

That every public name is on a page, Sphinx checks while it makes the site; see docs/conf.py.
"""

import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest
import steep
from public import exported, members, modules
from steep import schedules

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "docs/guide.md",
    "docs/interchange.md",
    "docs/sklearn.md",
    "docs/tables.md",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_blocks_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if document == "docs/sklearn.md":
        pytest.importorskip("pandas")
        pytest.importorskip("sklearn")
    if document == "docs/interchange.md":
        pytest.importorskip("onnx")
        pytest.importorskip("torch")
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    assert blocks
    names = {"__name__": "document"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], document, "exec"), names)


# What users may call and read, beside the arguments a class is made with. A name without an
# underscore that is not here is an internal among the public names.
MEMBERS = {
    "Trainer": "averaged epoch evaluate finished fit gnvp gradients history hvp jvp load logged "
    "memory optimizer save step steps vjp",
    "Network": "build built device feature_names freeze frozen input_shapes load_state_dict "
    "load_weights multiply_adds num_parameters output_names output_shapes plot predict "
    "save_weights state_dict summary to to_onnx to_torch unfreeze",
    "GAN": "fit history load sample save",
    "RBM": "fit free_energy layer load log_partition pseudo_likelihood reconstruct sample save "
    "transform",
    "DBN": "fit network transform",
    "SkipGram": "counts doesnt_match fit history layer load most_similar save similarity vectors "
    "vocabulary",
    "VAE": "decode encode evaluate fit load reconstruct sample save",
    "Graph": "from_adjacency nodes",
    "Sparse": "begin column config dense from_rows shape value",
    "Layer": "add_loss call config from_config name parameter trainable",
    "Embedding": "weight",
    "Text": "decode encode from_string",
    "Sequential": "layers",
    "Average": "begun get_config rates",
    "Optimizer": "decay formula get_config knobs parts rule value",
    "Loss": "get_config option rows targeted",
    "Schedule": "at get_config",
    "Initializer": "get_config values",
    "VarianceScaling": "spread",
    "Constraint": "get_config native number",
    "Place": "normal uniform",
    "OneCycle": "momentum",
    "EarlyStopping": "load_state_dict state_dict",
    "Recorder": "activations load_state_dict parameters plot report rows state_dict steps to_frame "
    "weights",
    "ReduceOnPlateau": "load_state_dict state_dict",
    "Dataset": "task",
    "Comparison": "save",
    "Search": "choice score",
    "Table": "apply classes decode encode features learn load open save targets spans",
    "Sweep": "best plot trainer",
    "RateTest": "plot",
    "GradientFlow": "plot report",
    "LearningCurve": "gap plot",
    "CapacityCurve": "plot",
    "Landscape": "plot",
    "Trajectory": "on_epoch_end on_step_end on_train_begin",
    "Target": "task",
    "History": "history plot recorder skipped steps to_frame",
    "Tensor": "T shape",
    "DeviceArray": "dtype ndim numpy shape size",
}
HOOKS = {"on_train_begin", "on_epoch_end", "on_step_end", "on_train_end"}
CLASSES = {name: made for name, made in exported().items() if isinstance(made, type)}


def own_arguments(made):
    return {p.name for p in inspect.signature(made).parameters.values() if p.name != "self"}


def instances():
    """Return one of each class whose attributes are set when it is made, or by steep alone."""
    x = steep.Input(3)
    net = steep.Sequential(steep.layers.Dense(2))
    trainer = steep.Trainer(net, "mse", "adam")
    model = steep.Model(x, steep.layers.Dense(2)(x))
    sparse, words = steep.data.Sparse([[1.0]]), steep.SkipGram()
    return net, trainer, model, x, steep.History(), sparse, words


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_no_internal_is_among_the_public_members(name):
    made = CLASSES[name]
    known = {word for base in made.__mro__ for word in MEMBERS.get(base.__name__, "").split()}
    known |= HOOKS if name.startswith("steep.callbacks.") else set()
    found = {*members(made)}
    for instance in instances():
        if type(instance) is made:
            found |= {word for word in vars(instance) if not word.startswith("_")}
            known |= own_arguments(made) if made is not steep.Tensor else set()
    assert not found - known, "make it private, or list and describe it"


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_the_members_that_are_promised_exist(name):
    found = set()
    for one in (*instances(), *CLASSES.values()):
        made = one if isinstance(one, type) else type(one)
        if name in {base.__name__ for base in made.__mro__}:
            found |= set(dir(one))
    assert not set(MEMBERS[name].split()) - found


@pytest.mark.parametrize("name", sorted(modules()))
def test_every_public_module_has_a_page(name):
    pages = {path.stem: path.read_text("utf-8") for path in ROOT.glob("docs/reference/*.md")}
    page = pages[name.rpartition(".")[2]]
    assert f"automodule:: {name}\n" in page or f"currentmodule:: {name}\n" in page


@pytest.fixture(scope="module")
def pictures():
    """Return docs/schedules.py, which draws the picture of the schedules."""
    pytest.importorskip("matplotlib")
    about = importlib.util.spec_from_file_location("pictures", ROOT / "docs/schedules.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def test_every_schedule_has_its_picture(pictures):
    assert {title.split(".")[0] for title in pictures.PANELS} == set(schedules.TABLE)
    for title, lines in pictures.PANELS.items():
        assert {type(line).__name__ for line in lines.values()} == {title.split(".")[0]}
    image = pytest.importorskip("PIL.Image").open(pictures.PICTURE)
    drawn = json.loads(image.text["Description"])
    assert drawn == pictures.described(), "run python docs/schedules.py"
    for page in ("algorithms.md", "reference/schedules.md"):
        assert "pictures/schedules.png" in (ROOT / "docs" / page).read_text("utf-8")


def test_the_pictures_of_schedules_can_be_drawn(pictures, tmp_path):
    assert pictures.main(["--picture", str(tmp_path / "new.png")]) == 0
    assert (tmp_path / "new.png").stat().st_size > 20_000
