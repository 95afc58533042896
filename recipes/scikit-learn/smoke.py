"""Fit a model of each of scikit-learn's compiled families on data whose answer is known.

FACTORY_RESULT names the JSON file to write: what to show.
"""

import json
import os
from pathlib import Path

import numpy as np
import sklearn
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import NMF, PCA
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, SGDClassifier
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances, roc_auc_score
from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor


def main() -> None:
    checks = (linear_models, classifiers, clusters, decompositions, neighbours, trees, distances, texts, embeddings)
    for check in checks:
        check(np.random.default_rng(20261201))
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    shown = f"scikit-learn {sklearn.__version__}: {names} are right"
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps({"shown": shown}), encoding="utf-8")
    print(shown)


def linear_models(source: np.random.Generator) -> None:
    x = source.standard_normal((200, 6))
    weights = np.array([3.0, 0, 0, -2.0, 0, 0])
    y = x @ weights + 1
    assert np.allclose(LinearRegression().fit(x, y).coef_, weights)
    lasso = Lasso(alpha=0.1).fit(x, y)
    assert (np.flatnonzero(lasso.coef_) == [0, 3]).all()
    assert np.allclose(lasso.coef_, weights, atol=0.15)
    labels = y > 1
    for model in (LogisticRegression(), SGDClassifier(random_state=1), LinearSVC()):
        assert model.fit(x, labels).score(x, labels) > 0.95


def classifiers(_: np.random.Generator) -> None:
    x, y = load_digits(n_class=4, return_X_y=True)
    for model in (
        RandomForestClassifier(10, random_state=1),
        HistGradientBoostingClassifier(learning_rate=0.3, max_iter=20),
        SVC(),
        KNeighborsClassifier(),
    ):
        assert model.fit(x[:400], y[:400]).score(x[400:], y[400:]) > 0.9, model


def clusters(_: np.random.Generator) -> None:
    x, y = make_blobs(150, centers=[[0, 0], [9, 0], [0, 9]], cluster_std=0.5, random_state=1)
    for model in (
        KMeans(3, n_init=2, random_state=1),
        KMeans(3, algorithm="elkan", n_init=2),
        DBSCAN(1.5),
        HDBSCAN(copy=True),
    ):
        found = model.fit_predict(x)
        assert all(len(set(found[(y == k) & (found >= 0)])) == 1 for k in range(3))
        assert len(set(found) - {-1}) == 3


def decompositions(source: np.random.Generator) -> None:
    x = source.random((50, 2)) @ source.random((2, 20))
    pca = PCA(2).fit(x)
    assert np.allclose(pca.inverse_transform(pca.transform(x)), x)
    nmf = NMF(2, max_iter=2000, random_state=1)
    assert np.allclose(nmf.fit_transform(x) @ nmf.components_, x, atol=0.05)


def neighbours(source: np.random.Generator) -> None:
    x = source.random((300, 3))
    expected = np.linalg.norm(x[:10, None] - x, axis=2).argsort(axis=1)[:, :4]
    for tree in (KDTree, BallTree):
        assert (tree(x).query(x[:10], k=4, return_distance=False) == expected).all()


def trees(source: np.random.Generator) -> None:
    x = source.random((100, 2))
    y = np.where(x[:, 0] > 0.5, 2.0, -1.0)
    assert (DecisionTreeRegressor(max_depth=1).fit(x, y).predict(x) == y).all()
    outlier = np.concatenate([x, [[30, 30]]])
    assert IsolationForest(n_estimators=20, random_state=1).fit(outlier).score_samples(outlier).argmin() == 100


def distances(source: np.random.Generator) -> None:
    x, y = source.random((20, 5)), source.random((30, 5))
    assert np.allclose(pairwise_distances(x, y), np.linalg.norm(x[:, None] - y, axis=2))
    assert np.allclose(pairwise_distances(x, y, metric="manhattan"), np.abs(x[:, None] - y).sum(axis=2))
    assert roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75


def texts(_: np.random.Generator) -> None:
    rows = HashingVectorizer(n_features=1024, norm=None, alternate_sign=False).transform(
        ["a board and a board", "board"]
    )
    assert np.asarray(rows.sum(axis=1)).ravel().tolist() == [3.0, 1.0]


def embeddings(_: np.random.Generator) -> None:
    x, y = make_blobs(60, centers=2, n_features=10, cluster_std=0.3, random_state=1)
    points = TSNE(perplexity=10, random_state=1, max_iter=300).fit_transform(x)
    centre = [points[y == k].mean(axis=0) for k in (0, 1)]
    assert all(
        np.linalg.norm(p - centre[k]) < np.linalg.norm(p - centre[1 - k]) for p, k in zip(points, y, strict=True)
    )


if __name__ == "__main__":
    main()
