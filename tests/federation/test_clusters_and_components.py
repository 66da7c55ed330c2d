"""k-means and principal components: federated equals pooled, and pooled equals scikit-learn."""

import hashlib

import numpy as np
import pytest
from datasets import load, parts
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA as Peer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from federation import portable, records
from federation.algorithms import advance, vector
from federation.algorithms.cluster import KMEANS, KMeansParams, KMeansState
from federation.algorithms.pca import PCA, PcaParams
from federation.errors import Refused
from federation.estimators import FederatedKMeans, FederatedPCA
from federation.simulate import pooled
from federation.tables import Feature, Table
from federation.vectors import from_bytes, to_bytes

LIMITS = {"members": 50, "records": 2000}


def labelled(algorithm, plan, columns):
    """The table with labels in its target, so that the members of the oracle are sorted by them."""
    return Table(algorithm.prepare(plan, columns).values, columns["y"].astype(float))


def test_kmeans_is_the_same_for_any_members(same_everywhere):
    features, columns, _ = load("wine")
    plan = KMeansParams(features, clusters=3, **LIMITS)
    assert same_everywhere(KMEANS, plan, labelled(KMEANS, plan, columns)).state.settled


def seeds(plan, training):
    state = KMEANS.start(plan)
    for total in training.totals:
        state = advance(KMEANS, plan, state, from_bytes(64, total))
        if state.centres:
            return np.array(state.centres)
    raise AssertionError("no seeding ended")


@pytest.mark.parametrize(("name", "clusters"), [("wine", 3), ("digits", 10), ("breast_cancer", 2)])
def test_kmeans_ends_where_scikit_learn_ends_from_the_same_seeds(name, clusters, rand):
    features, columns, _ = load(name)
    plan = KMeansParams(features, clusters=clusters, **LIMITS)
    model, table = FederatedKMeans(plan, rand=rand).fit(parts(columns)), KMEANS.prepare(plan, columns)
    start = seeds(plan, model.training_)
    peer = KMeans(clusters, init=start, n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(table.values)
    assert np.abs(np.array(model.training_.state.centres) - peer.cluster_centers_).max() < 1e-9
    assert (model.predict(columns) == peer.labels_).all()
    assert model.inertia_ == pytest.approx(peer.inertia_, rel=1e-9)
    assert model.cluster_centers_.shape == (clusters, len(features))
    assert 1 <= model.n_iter_ < model.n_rounds_
    drawn = KMeans(clusters, n_init=10, random_state=0).fit(table.values)
    assert model.inertia_ < 1.1 * drawn.inertia_, "the seeding is no worse than the best of ten draws, but for a tenth"
    if name == "wine":
        assert adjusted_rand_score(columns["y"], model.predict(columns)) > 0.8


def test_one_cluster_is_the_mean():
    features, columns, values = load("wine")
    plan = KMeansParams(features, clusters=1, **LIMITS)
    training = pooled(KMEANS, plan, KMEANS.prepare(plan, columns))
    assert len(training.totals) == 2
    centre = KMEANS.fitted(plan, training.state).arrays["centres"][0]
    assert np.allclose(centre, values.mean(axis=0), rtol=1e-9)


def test_a_centre_that_loses_its_records_stays():
    plan = KMeansParams((Feature("x", -1, 1),), clusters=2, members=3, records=9)
    table = KMEANS.prepare(plan, {"x": [-0.5, -0.4, 0.4]})
    state = KMeansState(3, 3, scaling_of(table), centres=((0.0,), (0.9,)))
    far = Table(table.values[:2], table.target[:2])
    after = advance(KMEANS, plan, state, from_bytes(64, pooled_vector(plan, state, far)))
    assert after.counts == (2, 0)
    assert after.centres[1] == (0.9,)
    assert not after.settled


def scaling_of(table):
    return pooled(KMEANS, KMeansParams((Feature("x", -1, 1),), clusters=2, members=3, records=9), table).state.scaling


def pooled_vector(plan, state, table):
    return to_bytes(vector(KMEANS, plan, state, table))


def test_more_clusters_than_different_records_are_refused():
    plan = KMeansParams((Feature("x", 0, 1),), clusters=3, members=3, records=9)
    with pytest.raises(Refused, match="fewer different records"):
        pooled(KMEANS, plan, KMEANS.prepare(plan, {"x": [0.3, 0.3, 0.7]}))
    with pytest.raises(Refused, match="cannot run"):
        KMeansParams((Feature("x", 0, 1),), clusters=0, members=3, records=9)


def test_holes_count_as_the_mean():
    features, columns, _ = load("wine")
    holes = columns | {"x0": np.where(np.arange(178) % 5 == 0, np.nan, columns["x0"])}
    filled = columns | {"x0": np.where(np.arange(178) % 5 == 0, np.nanmean(holes["x0"]), columns["x0"])}
    plans = (KMEANS, KMeansParams(features, clusters=3, **LIMITS)), (PCA, PcaParams(features, components=3, **LIMITS))
    for algorithm, plan in plans:
        one, two = (pooled(algorithm, plan, algorithm.prepare(plan, c)).state for c in (holes, filled))
        first = next(iter(algorithm.fitted(plan, one).arrays.values()))
        assert np.allclose(first, next(iter(algorithm.fitted(plan, two).arrays.values())), rtol=1e-6)


def test_components_are_the_same_for_any_members(same_everywhere):
    features, columns, _ = load("wine")
    plan = PcaParams(features, components=10, **LIMITS)
    assert len(same_everywhere(PCA, plan, labelled(PCA, plan, columns)).totals) == 2


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("name", ["wine", "digits", "breast_cancer"])
def test_components_are_scikit_learns(name, standardise, rand):
    features, columns, values = load(name)
    model = FederatedPCA(PcaParams(features, components=5, standardise=standardise, **LIMITS), rand=rand).fit(
        parts(columns)
    )
    given = StandardScaler().fit_transform(values) if standardise else values
    peer = Peer(5).fit(given)
    assert np.abs(model.components_ - peer.components_).max() < 1e-9
    assert np.allclose(model.explained_variance_, peer.explained_variance_, rtol=1e-9)
    assert np.allclose(model.explained_variance_ratio_, peer.explained_variance_ratio_, rtol=1e-9)
    assert np.allclose(model.mean_, values.mean(axis=0), rtol=1e-9)
    assert np.abs(model.transform(columns) - peer.transform(given)).max() < 1e-5
    assert (model.constant_ == ()) == (name != "digits")


def test_the_bits_of_eigenvectors_are_these_everywhere():
    """Taken once; another processor, compiler or NumPy must find the same."""
    grid = np.arange(33 * 33, dtype=np.float64).reshape(33, 33)
    values, vectors = portable.eigen((grid * 7919 % 1009) / 1009 + (grid * 7919 % 1009).T / 1009)
    assert hashlib.sha256(values.astype("<f8").tobytes() + vectors.astype("<f8").tobytes()).hexdigest() == BITS


BITS = "224f3840fe95013d6d9157b13c1f21d1c797322b0b7ca7560047fa53af341bd8"


@pytest.mark.parametrize("size", [1, 2, 3, 17, 40])
def test_eigenvectors_are_eigenvectors(size):
    half = np.random.default_rng(size).normal(size=(size, max(1, size - 3)))
    matrix = half @ half.T
    values, vectors = portable.eigen(matrix)
    assert np.allclose(vectors @ matrix, values[:, None] * vectors, atol=1e-12 * size)
    assert np.allclose(vectors @ vectors.T, np.eye(size), atol=1e-13 * size)
    assert (np.diff(values) <= 0).all()
    assert (vectors[np.arange(size), np.abs(vectors).argmax(axis=1)] > 0).all()


def test_a_matrix_without_numbers_has_no_eigenvalues():
    with pytest.raises(Refused, match="eigenvalues"):
        portable.eigen(np.array([[1.0, np.nan], [np.nan, 1.0]]))
    values, vectors = portable.eigen(np.array([[1.0, 1e-200], [1e-200, 2.0]]))
    assert values.tolist() == [2.0, 1.0]
    assert np.abs(vectors).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_plan_that_cannot_run_is_refused():
    one = (Feature("x", 0, 1),)
    with pytest.raises(Refused, match="cannot run"):
        PcaParams(one, components=2, members=3, records=9)
    plan = PcaParams(one, components=1, members=3, records=9)
    with pytest.raises(Refused, match="one record"):
        pooled(PCA, plan, PCA.prepare(plan, {"x": [0.5]}))
    assert records.load(PcaParams, records.dump(plan)) == plan
