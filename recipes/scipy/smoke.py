"""Call each of scipy's larger parts and compare the results with mathematics or with plain numpy.

FACTORY_RESULT names the JSON file to write: what to show, and the fact `core`: the core that OpenBLAS chose here.
"""

import ctypes
import io
import json
import math
import os
from pathlib import Path

import numpy as np
import scipy
from scipy import (
    cluster,
    fft,
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    sparse,
    spatial,
    special,
    stats,
)
from scipy.io import loadmat, savemat
from scipy.sparse import csgraph


def main() -> None:
    source = np.random.default_rng(20261201)
    checks = (
        dense_matrices,
        sparse_matrices,
        graphs,
        special_functions,
        transforms,
        integrals,
        minima,
        curves,
        neighbours,
        images,
        filters,
        distributions,
        clusters,
        files,
    )
    for check in checks:
        check(source)
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    result = {"shown": f"scipy {scipy.__version__}: {names} are right", "facts": {"core": blas_core()}}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(result)


def near(result: object, expected: object, tolerance: float = 1e-9) -> None:
    """Fail where a result is off by more than the tolerance, relative to the largest expected number."""
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * float(np.max(np.abs(expected))))


def dense_matrices(source: np.random.Generator) -> None:
    for dtype, tolerance in ((np.float32, 1e-3), (np.float64, 1e-10), (np.complex64, 1e-3), (np.complex128, 1e-10)):
        a = source.standard_normal((33, 33)).astype(dtype)
        if np.iscomplexobj(a):
            a += 1j * source.standard_normal((33, 33)).astype(a.real.dtype)
        x = source.standard_normal((33, 3)).astype(dtype)
        near(linalg.solve(a, a @ x), x, tolerance)
        u, s, v = linalg.svd(a)
        near(u * s @ v, a, tolerance)
        hermitian = a + a.conj().T
        values, vectors = linalg.eigh(hermitian)
        near(vectors * values @ vectors.conj().T, hermitian, tolerance)
    near(linalg.expm(np.array([[0, -math.pi / 2], [math.pi / 2, 0]])), [[0, -1], [1, 0]])


def sparse_matrices(source: np.random.Generator) -> None:
    size = 400
    laplacian = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(size, size), format="csc")
    x = source.standard_normal(size)
    near(sparse.linalg.spsolve(laplacian, laplacian @ x), x, 1e-7)
    solved, failed = sparse.linalg.cg(laplacian, laplacian @ x, rtol=1e-12, maxiter=4 * size)
    assert failed == 0
    near(solved, x, 1e-5)
    largest = sparse.linalg.eigsh(laplacian, k=3, return_eigenvectors=False)
    expected = [2 - 2 * math.cos(k * math.pi / (size + 1)) for k in (size - 2, size - 1, size)]
    near(sorted(largest), expected)


def graphs(source: np.random.Generator) -> None:
    weights = np.ceil(source.random((12, 12)) * 9)
    shortest = weights.copy()
    np.fill_diagonal(shortest, 0)
    for k in range(12):
        shortest = np.minimum(shortest, shortest[:, k : k + 1] + shortest[k])
    near(csgraph.dijkstra(weights), shortest)


def special_functions(_: np.random.Generator) -> None:
    n = np.arange(1, 20)
    near(special.gamma(n), [math.factorial(k - 1) for k in n], 1e-13)
    x = np.linspace(-5, 5, 101)
    near(special.erf(x), [math.erf(value) for value in x], 1e-14)
    assert abs(special.jv(0, 2.404825557695773)) < 1e-15
    near(special.jv(0.5, x[60:]), np.sqrt(2 / (np.pi * x[60:])) * np.sin(x[60:]), 1e-12)
    near(special.hyp2f1(1, 1, 2, 0.5), 2 * math.log(2), 1e-14)
    near(special.ellipk(0.5), special.gamma(0.25) ** 2 / (4 * math.sqrt(math.pi)), 1e-14)


def transforms(source: np.random.Generator) -> None:
    for size in (1, 7, 64, 97, 1000):
        x = source.standard_normal(size) + 1j * source.standard_normal(size)
        k = np.arange(size)
        near(fft.fft(x), np.exp(-2j * np.pi * np.outer(k, k) / size) @ x, 1e-10)
        near(fft.ifft(fft.fft(x)), x, 1e-12)
        near(fft.idct(fft.dct(x.real)), x.real, 1e-12)


def integrals(_: np.random.Generator) -> None:
    near(integrate.quad(lambda x: math.exp(-x * x), -math.inf, math.inf)[0], math.sqrt(math.pi))
    near(integrate.dblquad(lambda y, x: x * y, 0, 1, 0, lambda x: x)[0], 0.125)
    for method in ("RK45", "DOP853", "Radau", "BDF", "LSODA"):
        solution = integrate.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 3), [0, 1], method=method, rtol=1e-8, atol=1e-10)
        near(solution.y[0, -1], math.sin(3), 1e-5)


def minima(source: np.random.Generator) -> None:
    for method in ("BFGS", "L-BFGS-B", "SLSQP", "Nelder-Mead", "COBYLA"):
        found = optimize.minimize(lambda p: (p[0] - 1) ** 2 + 10 * (p[1] + 2) ** 2, [4.0, 4.0], method=method)
        near(found.x, [1, -2], 1e-3)
    near(optimize.brentq(math.cos, 1, 2), math.pi / 2)
    x = np.linspace(0, 3, 50)
    near(optimize.curve_fit(lambda x, a, b: a * np.exp(-b * x), x, 3 * np.exp(-2 * x))[0], [3, 2], 1e-6)
    plan = optimize.linprog([-1, -2], A_ub=[[1, 1], [1, 3]], b_ub=[4, 6])
    near(plan.x, [3, 1])
    cost = source.random((6, 6))
    rows, columns = optimize.linear_sum_assignment(cost)
    assert sorted(columns) == list(range(6))
    assert cost[rows, columns].sum() <= np.trace(cost)


def curves(source: np.random.Generator) -> None:
    x = np.linspace(0, 3, 30)
    near(interpolate.CubicSpline(x, np.sin(x))(1.234), math.sin(1.234), 1e-5)
    near(interpolate.splev(1.234, interpolate.splrep(x, np.sin(x))), math.sin(1.234), 1e-5)
    points = source.random((60, 2))
    near(interpolate.RBFInterpolator(points, points @ [2.0, 3.0] + 1)([[0.5, 0.5]]), [3.5], 1e-8)


def neighbours(source: np.random.Generator) -> None:
    points, asked = source.random((200, 3)), source.random((20, 3))
    distances = np.linalg.norm(asked[:, None] - points, axis=2)
    found, index = spatial.cKDTree(points).query(asked)
    near(found, distances.min(axis=1))
    assert (index == distances.argmin(axis=1)).all()
    near(spatial.distance.cdist(asked, points), distances)
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)] + [[0.5, 0.5, 0.5]], float)
    near(spatial.ConvexHull(cube).volume, 1)
    assert len(spatial.Delaunay(source.random((30, 2))).simplices) > 30
    turned = spatial.transform.Rotation.from_euler("z", 90, degrees=True).apply([1, 0, 0])
    near(turned, [0, 1, 0])


def images(_: np.random.Generator) -> None:
    image = np.zeros((21, 21))
    image[5, 5] = image[15, 15] = 1
    blurred = ndimage.gaussian_filter(image, 1.5)
    near(blurred.sum(), 2, 1e-6)
    labels, count = ndimage.label(blurred > 0.01)
    assert count == 2
    assert labels[5, 5] != labels[15, 15]
    near(ndimage.rotate(image, 180), image[::-1, ::-1], 1e-6)


def filters(source: np.random.Generator) -> None:
    x, a, b = source.standard_normal(200), [1.0, -0.5, 0.25], [0.2, 0.3]
    expected: list[float] = []
    for n in range(len(x)):
        value = sum(b[k] * x[n - k] for k in range(2) if n >= k) - sum(a[k] * expected[n - k] for k in (1, 2) if n >= k)
        expected.append(value)
    near(signal.lfilter(b, a, x), expected)
    near(signal.convolve(x, a), np.convolve(x, a))
    assert (signal.find_peaks([0, 1, 0, 2, 0])[0] == [1, 3]).all()


def distributions(source: np.random.Generator) -> None:
    near(stats.norm.cdf(1.959963984540054), 0.975, 1e-12)
    near(stats.chi2.sf(3.841458820694124, 1), 0.05, 1e-12)
    x = source.standard_normal(50)
    near(stats.ttest_1samp(x, 0).statistic, x.mean() / (x.std(ddof=1) / math.sqrt(50)))
    near(stats.gaussian_kde(x).integrate_box_1d(-50, 50), 1, 1e-8)
    assert 0 <= stats.qmc.Sobol(3, seed=1).random(8).min() < 1


def clusters(source: np.random.Generator) -> None:
    points = np.concatenate([source.normal(0, 0.1, (20, 2)), source.normal(5, 0.1, (20, 2))])
    groups = cluster.hierarchy.fcluster(cluster.hierarchy.linkage(points), 2, "maxclust")
    assert len(set(groups[:20])) == len(set(groups[20:])) == 1
    assert groups[0] != groups[20]


def files(source: np.random.Generator) -> None:
    a, written = source.standard_normal((4, 5)), io.BytesIO()
    savemat(written, {"a": a}, do_compression=True)
    written.seek(0)
    near(loadmat(written)["a"], a)


def blas_core() -> str:
    """The core that the OpenBLAS of this wheel, already loaded, says that it runs."""
    (library,) = (Path(scipy.__file__).parent.parent / "scipy.libs").glob("libopenblas-*.so*")
    ask = ctypes.CDLL(str(library)).openblas_get_corename
    ask.restype = ctypes.c_char_p
    return ask().decode()


if __name__ == "__main__":
    main()
