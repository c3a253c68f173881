"""Problems and frozen test sets: exact inverses, reproducible, of known difficulty."""

import numpy as np
import pytest
import torch

import anm
from anm.tasks.frozen import BLOCK, FIT_STREAM
from anm.tasks.frozen import frozen_problems as frozen_of_task
from anm.tasks.inverse import problem_from, spd_inverse

TASK = anm.tasks.get("inverse")


def frozen_problems(*arguments):
    return frozen_of_task(TASK, *arguments)


class Given:
    """Draws that are given."""

    def __init__(self, R):
        self.R = R

    def uniform(self, *shape):
        assert self.R.shape[1:] == shape
        return self.R


def draw_problems(R, offset=0.5):
    return TASK.draw(Given(R), R.shape[1], R.shape[-1], offset)


def test_a_problem_by_hand():
    A = problem_from(torch.tensor([[[[1.0, 2.0], [0.0, 1.0]]]]), 0.5)
    torch.testing.assert_close(A, torch.tensor([[[[10.5, 4.0], [4.0, 2.5]]]]))
    # determinant 10.5 * 2.5 - 16 = 10.25
    torch.testing.assert_close(spd_inverse(A), torch.tensor([[[[2.5, -4.0], [-4.0, 10.5]]]]) / 10.25)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 3, 3), (2, 5, 1, 1), (2, 5, 3, 3)])
def test_the_inverse_does_not_change_the_problem(shape):
    A = problem_from(torch.rand(shape), 0.5)
    before = A.clone()
    torch.testing.assert_close(spd_inverse(A) @ A, torch.eye(shape[-1]).expand(shape), atol=1e-4, rtol=0)
    assert torch.equal(A, before)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
@pytest.mark.parametrize("offset", [0.5, 0.1, 0.02])
def test_drawn_problems_are_symmetric_positive_and_inverted_to_rounding(n, offset):
    R = torch.rand(2, 50, n, n, generator=torch.Generator().manual_seed(n)) * 2 - 1
    A, x0 = draw_problems(R, offset)
    assert A.dtype == x0.dtype == torch.float32 and A.shape == x0.shape == R.shape
    assert torch.equal(A, A.mT)
    assert_inverted_to_rounding(A, x0, offset)


def assert_inverted_to_rounding(A, x0, offset):
    exact = A.double().numpy()
    eigenvalues = np.linalg.eigvalsh(exact)
    assert eigenvalues.min() > 0.9 * offset
    n, error = A.shape[-1], np.linalg.norm(x0.double().numpy() - np.linalg.inv(exact), 2, axis=(-2, -1))
    # backward stable: relative error of the inverse within a few units of rounding times the condition number
    assert np.all(error * eigenvalues[..., 0] <= 10 * np.sqrt(n) * 2**-24 * eigenvalues[..., -1] / eigenvalues[..., 0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("n", [1, 3, 20, 33, 64, 65])  # 65: more than the kernel holds
@pytest.mark.parametrize("offset", [0.5, 0.02])
def test_a_gpu_inverts_to_rounding(n, offset):
    R = torch.rand(2, 50, n, n, generator=torch.Generator().manual_seed(n)) * 2 - 1
    A = problem_from(R.cuda(), offset)
    assert_inverted_to_rounding(A.cpu(), spd_inverse(A).cpu(), offset)
    view = A.transpose(0, 1)
    torch.testing.assert_close(spd_inverse(view), spd_inverse(A).transpose(0, 1), rtol=0, atol=0)


def test_training_problems_have_the_offset_of_same():
    A, _ = draw_problems(torch.zeros(1, 1, 3, 3), TASK.splits["same"])
    torch.testing.assert_close(A[0, 0], 0.5 * torch.eye(3))


@pytest.mark.parametrize("n, offset", [(3, 0.5), (20, 0.5), (20, 0.1), (20, 0.02)])
def test_frozen_answers_are_the_inverses_of_the_stored_problems(n, offset):
    test = frozen_problems(n, offset, 200)
    product = test.problem.double() @ test.answer.double() - torch.eye(n, dtype=torch.float64)
    # X is rounded once, to float32, so A X differs from I by no more than |A| |X| 2^-24
    bound = 2**-24 * (test.problem.double().abs() @ test.answer.double().abs())
    assert torch.all(product.abs() <= bound + 1e-9)
    np.testing.assert_allclose(test.condition, np.linalg.cond(test.problem.double().numpy()), rtol=1e-6)


@pytest.mark.parametrize("split, condition, rms", [("same", 87, 0.144), ("harder", 396, 0.50)])
def test_frozen_difficulty_is_the_published_one(split, condition, rms):
    test = frozen_problems(20, TASK.splits[split], 4000)
    assert np.median(test.condition) == pytest.approx(condition, rel=0.03)
    assert test.answer.square().mean().sqrt().item() == pytest.approx(rms, rel=0.02)
    assert test.start.mean().item() == pytest.approx(0, abs=0.005) and test.start.std().item() == pytest.approx(
        1, abs=0.005
    )


def test_a_smaller_set_begins_a_larger_one():
    small, large = frozen_problems(4, 0.5, 7), frozen_problems(4, 0.5, BLOCK + 300)
    for name in ("problem", "answer", "start"):
        assert torch.equal(getattr(small, name), getattr(large, name)[:7])
    assert np.array_equal(small.condition, large.condition[:7]) and len(small) == 7
    assert len(torch.unique(large.problem.flatten(1), dim=0)) == BLOCK + 300  # the second block differs from the first


def test_difficulties_differ_in_the_offset_alone_and_the_fitting_set_is_separate():
    same, harder, fit = (
        frozen_problems(4, 0.5, 20),
        frozen_problems(4, 0.1, 20),
        frozen_problems(4, 0.5, 20, FIT_STREAM),
    )
    torch.testing.assert_close(same.problem - harder.problem, (0.4 * torch.eye(4)).expand(20, 4, 4), atol=1e-6, rtol=0)
    assert torch.equal(same.start, harder.start)
    assert not torch.isclose(same.problem, fit.problem).all(dim=(1, 2)).any()


def test_every_n_has_its_own_problems():
    assert frozen_problems(1, 0.5, 5).problem.shape == (5, 1, 1)
    assert not torch.equal(frozen_problems(4, 0.5, 5).problem[:, :3, :3], frozen_problems(3, 0.5, 5).problem)


def test_frozen_sets_do_not_depend_on_global_generators():
    before = frozen_problems(4, 0.5, 30)
    torch.manual_seed(5)
    np.random.seed(5)
    frozen_of_task.cache_clear()
    after = frozen_problems(4, 0.5, 30)
    assert after is not before and all(
        torch.equal(getattr(after, name), getattr(before, name)) for name in ("problem", "answer", "start")
    )


def test_frozen_sets_equal_those_of_recorded_studies():
    test = frozen_problems(4, 0.5, 3)
    np.testing.assert_allclose(test.problem[0, 0], [1.549656391, 0.988014162, 0.060572673, 0.788792074], rtol=1e-6)
    np.testing.assert_allclose(test.start[2, 3], [0.524793386, 0.150746629, -1.112245798, 0.977025092], rtol=1e-6)
    last = frozen_problems(4, 0.5, BLOCK + 1).problem[-1, 0]  # the first one of the second block
    np.testing.assert_allclose(last, [2.276421070, -1.202423334, -1.214761496, 0.401675582], rtol=1e-6)


def test_offsets_are_the_declared_ones():
    assert TASK.splits == {"same": 0.5, "harder": 0.1} and TASK.ladder == (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
