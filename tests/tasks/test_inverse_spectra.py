"""Problems of other spectra: frozen, definite, of the kind their name says."""

import numpy as np
import pytest
import torch

from anm.tasks.inverse_spectra import RIDGE, SPECTRA, digits, spectrum_problems

each = pytest.mark.parametrize("name", SPECTRA)


@each
@pytest.mark.parametrize("n", [1, 6, 20])
def test_problems_are_definite_and_answers_exact(name, n):
    found = spectrum_problems(name, n, 5)
    assert all(part.dtype == torch.float32 and part.shape == (5, n, n) for part in found)
    A, X, _ = (part.double() for part in found)
    torch.testing.assert_close(A, A.mT, rtol=1e-5, atol=1e-5)
    assert (torch.linalg.eigvalsh(A) > 0).all()
    torch.testing.assert_close(A @ X, torch.eye(n, dtype=torch.float64).expand(5, n, n), rtol=0, atol=1e-3)


@each
def test_a_smaller_set_is_a_prefix_and_no_two_problems_are_the_same(name):
    small, large = spectrum_problems(name, 6, 3), spectrum_problems(name, 6, 5)
    assert all(torch.equal(part, whole[:3]) for part, whole in zip(small, large, strict=True))
    assert len({tuple(A.flatten().tolist()) for A in large[0]}) == 5


def eigenvalues(name, n=20, problems=100):
    return np.linalg.eigvalsh(spectrum_problems(name, n, problems)[0].double().numpy())


def test_wishart_eigenvalues_fill_their_interval():
    found = eigenvalues("wishart", 40)
    assert found.mean() == pytest.approx(1, abs=0.02) and 0.03 < found.min() < 0.2 and 2.5 < found.max() < 3.6


def test_log_uniform_eigenvalues():
    logs = np.log10(eigenvalues("log_uniform"))
    assert logs.min() > -1.01 and logs.max() < 2.01
    np.testing.assert_allclose(np.quantile(logs, [0.25, 0.5, 0.75]), [-0.25, 0.5, 1.25], atol=0.1)


def test_sparse_problems_are_sparse_laplacians():
    A = spectrum_problems("sparse", 20, 20)[0]
    assert (A == 0).float().mean() > 0.6
    torch.testing.assert_close(A.sum(-1), torch.full((20, 20), RIDGE), rtol=0, atol=1e-5)


def test_covariances_are_of_the_data():
    A = spectrum_problems("covariance", 20, 50)[0]
    assert torch.diagonal(A, dim1=1, dim2=2).mean().item() == pytest.approx(1 + RIDGE, abs=0.1) and digits().shape == (
        1797,
        61,
    )
    with pytest.raises(ValueError, match="n = 62: the data set has only 61 columns"):
        spectrum_problems("covariance", 62, 1)
