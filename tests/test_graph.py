"""Networks over the nodes of one graph: golden numbers, PyTorch, threads, what is refused."""

import copy
import importlib.util
import pickle
from pathlib import Path

import cases
import numpy as np
import pytest
import steep
from bounds import within
from steep import _core, data, layers, losses, models

PATH = [(0, 1), (1, 2)]
ROOT = 0.4082482905


pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def sines(start, shape, size=0.5):
    return size * np.sin(start + np.arange(np.prod(shape), dtype=np.float64)).reshape(shape)


def random_graph(nodes, edges, seed=0, **options):
    pairs = np.random.default_rng(seed).integers(0, nodes, (edges, 2))
    return data.Graph(pairs, nodes, **options)


# -- the matrix ------------------------------------------------------------------------------------


def test_golden_normalisation():
    wanted = [[0.5, ROOT, 0], [ROOT, 1 / 3, ROOT], [0, ROOT, 0.5]]
    for edges in (PATH, np.array(PATH).T, [(1, 0), (0, 1), (1, 2), (2, 2)], np.array(PATH, "u1")):
        np.testing.assert_allclose(data.Graph(edges, 3).dense(), wanted, atol=5e-11)
    full = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(data.Graph.from_adjacency(full).dense(), wanted, atol=5e-11)


def plain(edges, nodes, weights=None, *, directed=False, normalise="symmetric", loops=True):
    """Return the matrix, by full matrices."""
    a = np.zeros((nodes, nodes))
    for i, (source, target) in enumerate(edges):
        a[target, source] = 1 if weights is None else weights[i]
        if not directed:
            a[source, target] = a[target, source]
    if loops:
        a[np.diag_indices(nodes)] = 1
    rows, columns = a.sum(axis=1, keepdims=True), a.sum(axis=0, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        by = {"symmetric": np.sqrt(rows * columns), "rows": rows, "none": 1.0}[normalise]
        return np.where(a > 0, a / by, 0)


@pytest.mark.parametrize("normalise", data.graph.NORMALISATIONS)
@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_matrix_of_edges(weighted, directed, loops, normalise):
    random = np.random.default_rng(3)
    edges = np.unique(np.sort(random.integers(0, 9, (14, 2)), axis=1), axis=0)
    if directed:
        edges = edges[:, ::-1]
    weights = random.uniform(0.5, 2, len(edges)) if weighted else None
    graph = data.Graph(edges, 12, weights, directed=directed, loops=loops, normalise=normalise)
    wanted = plain(edges, 12, weights, directed=directed, normalise=normalise, loops=loops)
    np.testing.assert_allclose(graph.dense(), wanted, rtol=1e-14)
    assert graph.nodes == 12


def test_no_edges():
    np.testing.assert_array_equal(data.Graph([], 3).dense(), np.eye(3))
    assert len(data.Graph(np.zeros((0, 2), int), 3, loops=False).value) == 0


def test_scipy_matrices_are_taken():
    sparse = pytest.importorskip("scipy.sparse")
    full = plain([(0, 1), (2, 1), (3, 3)], 5, [1.0, 2.0, 0.5], normalise="none", loops=False)
    for kind in (sparse.csr_matrix, sparse.coo_array, sparse.csc_matrix):
        graph = data.Graph(kind(full), 5, directed=True, normalise="none", loops=False)
        np.testing.assert_array_equal(graph.dense(), full)
        np.testing.assert_array_equal(data.Sparse(kind(full[:, :3])).dense(), full[:, :3])
        np.testing.assert_array_equal(
            data.Graph.from_adjacency(kind(full)).dense(), data.Graph.from_adjacency(full).dense()
        )


REFUSED = {
    "leaves the nodes": (
        lambda: data.Graph([(0, 1), (5, 40)], 34),
        r"edge 1 is \(5, 40\).*0 to 33",
    ),
    "below 0": (lambda: data.Graph([(0, -1)], 3), r"edge 0 is \(0, -1\)"),
    "three columns": (lambda: data.Graph(np.zeros((4, 3), int), 9), r"\(4, 3\)"),
    "no ints": (lambda: data.Graph([(0.5, 1.0)], 3), "must be ints"),
    "no nodes": (lambda: data.Graph([], 0), "nodes must be at least 1"),
    "weights too many": (lambda: data.Graph(PATH, 3, [1, 2, 3]), "one weight for each of 2 edges"),
    "weight of 0": (lambda: data.Graph(PATH, 3, [1.0, 0.0]), "edge 1 has 0.0"),
    "weight of nan": (lambda: data.Graph(PATH, 3, [np.nan, 1.0]), "edge 0 has nan"),
    "two weights": (lambda: data.Graph([(0, 1), (1, 0)], 3, [1.0, 2.0]), "between 0 and 1 has two"),
    "normalise": (lambda: data.Graph(PATH, 3, normalise="columns"), "columns"),
    "no square": (lambda: data.Graph.from_adjacency(np.zeros((2, 3))), r"\(2, 3\)"),
    "negative": (lambda: data.Graph.from_adjacency([[0, -1.0], [1, 0]]), "must be above 0"),
    "vector": (lambda: data.Sparse([1.0, 2.0]), r"\(2,\)"),
    "too large": (lambda: data.Sparse([[1e300]]), "float32 must hold it"),
    "order": (lambda: data.Sparse.from_rows((1, 3), [0, 2], [1, 0], [1.0, 1.0]), "ascend"),
    "columns": (lambda: data.Sparse.from_rows((1, 3), [0, 1], [3], [1.0]), "below 3"),
    "rows": (lambda: data.Sparse.from_rows((2, 3), [0, 2, 1], [0], [1.0]), "ends before|end at"),
    "no graph": (lambda: layers.GraphConv(2, np.eye(3)), "expects a data.Graph"),
    "no features": (
        lambda: layers.GraphConv(2, data.Graph(PATH, 3), features=np.eye(3)),
        "features must be a data.Sparse",
    ),
    "features of others": (
        lambda: layers.GraphConv(2, data.Graph(PATH, 3), features=data.Sparse(np.eye(4))),
        "features of 3 nodes, got 4",
    ),
    "nodes of others": (
        lambda: steep.Sequential(layers.GraphConv(2, data.Graph(PATH, 3))).build((4, 2)),
        r"GraphConv.*expects \(3, n\).*got \(4, 2\)",
    ),
    "no factors": (
        lambda: models.gcn(data.Graph(PATH, 3), features=data.Sparse(np.eye(3))).build((3, 2)),
        r"a factor for each, \(3, 1\), got \(3, 2\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# -- products --------------------------------------------------------------------------------------

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 130)


@pytest.mark.parametrize("precision", cases.PRECISIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_products_of_every_width(width, precision):
    graph = random_graph(130, 400, width, directed=True, loops=False)
    x = np.random.default_rng(1).standard_normal((3, 130, width)).astype(precision)
    wanted = graph.dense() @ x.astype(np.float64)
    bound = (np.diff(graph.begin).max() + 2) * cases.UNIT[precision] * np.abs(x).max()
    native = _core.Graph()
    native.output([native.sparse_product(native.input((130, width)), graph)])
    got = _core.Network(native, precision).predict([x], 2)[0]
    within(got, wanted, bound)
    assert not got[:, np.diff(graph.begin) == 0].any()  # nodes that no edge leads to


@pytest.mark.parametrize("width", [1, 3, 4, 5, 16, 33, 65])
@pytest.mark.parametrize("edges", [0, 1, 300])
def test_gradients_are_those_of_full_matrices(edges, width):
    """In a step of several threads' worth of rows, too."""
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(edges + width)
    graph = random_graph(140, edges, edges, loops=edges == 0)
    S = random.standard_normal((140, 70)) * (random.random((140, 70)) < 0.1)
    net = steep.Sequential(
        layers.GraphConv(width, graph, "tanh", features=data.Sparse(S), name="first"),
        layers.GraphConv(width + 1, graph, "tanh", name="wider"),
        layers.GraphConv(2, graph, name="last"),
    )
    X, y = random.uniform(0.5, 2, (3, 140, 1)), random.integers(0, 2, (3, 140))
    trainer = steep.Trainer(net, "cross_entropy", "sgd", precision="float64", seed=1)
    loss, found = trainer.gradients(X, y)
    A = torch.tensor(graph.dense())
    w = {name: torch.tensor(v, requires_grad=True) for name, v in net.state_dict().items()}
    h = torch.tanh(A @ (torch.tensor(X) * (torch.tensor(S) @ w["first.weight"])) + w["first.bias"])
    h = torch.tanh(A @ h @ w["wider.weight"] + w["wider.bias"])
    z = A @ (h @ w["last.weight"]) + w["last.bias"]
    wanted = torch.nn.functional.cross_entropy(z.reshape(-1, 2), torch.tensor(y).reshape(-1))
    assert loss == pytest.approx(wanted.item(), rel=1e-13)
    wanted.backward()
    for name, gradient in found.items():
        scale = np.abs(w[name].grad.numpy()).max() + 1e-3
        np.testing.assert_allclose(gradient, w[name].grad.numpy(), rtol=0, atol=1e-13 * scale)


# -- networks --------------------------------------------------------------------------------------


def golden(features):
    """Return input and network of the golden numbers, of an input or of constant features."""
    graph, X = data.Graph(PATH, 3), sines(0, (3, 2), 1.0)
    given = data.Sparse(X) if features else None
    parts = [
        layers.GraphConv(
            2, graph, "relu", False, init=sines(1, (2, 2)), features=given, name="first"
        ),
        layers.GraphConv(2, graph, None, False, init=sines(2, (2, 2)), name="second"),
    ]
    return (np.ones((1, 3, 1)) if features else X[None]), steep.Sequential(*parts)


@pytest.mark.parametrize("features", [False, True])
def test_golden_network(features):
    X, net = golden(features)
    trainer = steep.Trainer(net, losses.CrossEntropy(ignore=-1), "sgd", precision="float64")
    loss, found = trainer.gradients(X, [[0, -1, 1]])
    logits = [
        [0.0431773655, 0.0067009869], [0.0110989131, -0.0251351512], [-0.0295840287, -0.0374851344]
    ]  # fmt: skip
    np.testing.assert_allclose(net.predict(X)[0], logits, atol=5e-11)
    assert loss == pytest.approx(0.6860904173, abs=5e-11)
    first = [[-0.0174976176, -0.0000910875], [-0.0225471724, -0.0053501214]]
    second = [[-0.0233091916, 0.0233091916], [0.0196226238, -0.0196226238]]
    np.testing.assert_allclose(found["first.weight"], first, atol=5e-11)
    np.testing.assert_allclose(found["second.weight"], second, atol=5e-11)


def test_either_order_of_the_products_is_the_same():
    graph, x = random_graph(20, 60), np.random.default_rng(0).standard_normal((1, 20, 6))
    for units in (3, 6, 9):
        net = steep.Sequential(layers.GraphConv(units, graph, name="g"))
        net.build((20, 6))
        w = net.state_dict()["g.weight"].astype(np.float64)
        np.testing.assert_allclose(net.predict(x), graph.dense() @ x @ w, atol=1e-5)


def network(features=True, nodes=300):
    random = np.random.default_rng(5)
    graph = random_graph(nodes, 4 * nodes)
    S = random.random((nodes, 90)) * (random.random((nodes, 90)) < 0.05)
    net = models.gcn(graph, 5, (24, 24), features=data.Sparse(S) if features else None)
    y = np.where(random.random(nodes) < 0.5, -1, random.integers(0, 5, nodes))
    return net, (np.ones((1, nodes, 1)) if features else S[None]), y[None]


def trained(threads, features=True, epochs=(6,), **options):
    with steep.threads(threads):
        net, X, y = network(features)
        trainer = steep.Trainer(net, losses.CrossEntropy(ignore=-1), "adam", seed=3, **options)
        for count in epochs:
            trainer.fit(X, y, epochs=count, progress=False)
        return trainer, {k: v.tobytes() for k, v in trainer.net.state_dict().items()}


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("precision", cases.PRECISIONS)
def test_threads_change_no_bit(precision, features):
    first, wanted = trained(1, features, precision=precision)
    for threads in (2, 3, 8):
        other, found = trained(threads, features, precision=precision)
        assert found == wanted
        assert other.history.steps["loss"] == first.history.steps["loss"]


def test_a_resumed_training_has_the_same_bytes(tmp_path):
    _, wanted = trained(1)
    trainer, _ = trained(2, epochs=(2,))
    trainer.save(tmp_path / "half.ckpt")
    trainer = steep.Trainer.load(tmp_path / "half.ckpt")
    _, X, y = network()
    trainer.fit(X, y, epochs=4, progress=False)
    assert {k: v.tobytes() for k, v in trainer.net.state_dict().items()} == wanted


def test_networks_travel_with_their_graph(tmp_path):
    net, X, _ = network()
    net.build(X.shape[1:])
    trainer = steep.Trainer(net, losses.CrossEntropy(ignore=-1), "adam")
    trainer.save(tmp_path / "net.ckpt")
    loaded = steep.Trainer.load(tmp_path / "net.ckpt").net
    for other in (loaded, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    parts = [part for part in loaded.layers if isinstance(part, layers.GraphConv)]
    assert all(part.graph is parts[0].graph for part in parts)  # written once


def test_batches_of_signals_on_one_graph():
    """Several samples over the same nodes: each is what it is alone."""
    graph = random_graph(40, 100)
    net = steep.Sequential(layers.GraphConv(6, graph, "relu"), layers.GraphConv(3, graph))
    X = np.random.default_rng(1).standard_normal((9, 40, 4)).astype(np.float32)
    net.build((40, 4))
    whole = net.predict(X, batch_size=9)
    for i, x in enumerate(X):
        np.testing.assert_array_equal(net.predict(x[None])[0], whole[i])


# -- results ---------------------------------------------------------------------------------------

ROOT_FOLDER = Path(__file__).parents[1]
CORA = ROOT_FOLDER.parent / "shared" / "data" / "cora.npz"


@pytest.fixture(scope="module")
def reference():
    """Return docs/graphs.py, where the trainings of docs/graphs.md stand."""
    path = ROOT_FOLDER / "docs" / "graphs.py"
    if not path.exists():
        pytest.skip("docs/graphs.py is not beside the tests")
    spec = importlib.util.spec_from_file_location("graphs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_karate_club(reference):
    graph, sides = reference.club()
    assert (len(graph.value) - 34) // 2 == 78
    assert sides.sum() == 17
    right = [reference.karate(seed) for seed in range(10)]
    assert min(right) >= 32, right


@pytest.mark.skipif(not CORA.exists(), reason="the data of Cora are not there")
def test_cora(reference):
    given = reference.read_cora(CORA)
    assert (len(given["graph"].value) - 2708) // 2 == 5278
    found = [reference.cora(given, seed) for seed in range(5)]
    alone = np.mean([reference.cora(given, seed, hops=False) for seed in range(2)])
    assert np.mean(found) >= 0.80, found
    assert np.mean(found) > alone + 0.2
