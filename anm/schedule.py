"""Noise levels: alpha_bar, and the way between x0, x_t and eps."""

import numpy as np
import torch
from torch import Tensor, nn


def cosine_betas(noise_levels: int, s: float = 0.008) -> np.ndarray:
    """beta_t of the cosine schedule, float64, (T,). Source: Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17."""
    time = np.linspace(0, 1, noise_levels + 1)
    alpha_bar = np.cos((time + s) / (1 + s) * np.pi / 2) ** 2
    return np.clip(1 - alpha_bar[1:] / alpha_bar[:-1], 0, 0.999)


def one_hot(t: Tensor, noise_levels: int) -> Tensor:
    """t (S, B) as rows of zeros with a one at its level, float32, (S, B, noise_levels).

    Unlike torch's, it reads nothing back to check t, which would stall a GPU at every step.
    """
    return (t[..., None] == torch.arange(noise_levels, device=t.device)).to(torch.float32)


class Pick(torch.autograd.Function):
    """Each row's level of a table: table (S, T, C), t (S, B) -> (S, B, C).

    Its gradient is a product with one-hot rows, which unlike that of indexing is deterministic.
    """

    @staticmethod
    def forward(ctx, table: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        ctx.noise_levels = table.shape[1]
        return table[torch.arange(len(table), device=t.device)[:, None], t]

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (t,) = ctx.saved_tensors
        return one_hot(t, ctx.noise_levels).to(grad.dtype).mT @ grad, None


class Schedule(nn.Module):
    """Per-level constants, each (T,) and float32 on the device; level 0 is the least noisy.

    alpha_bar: share of the answer's variance in x_t; step_size: eta_t = beta_t / sqrt(1 - alpha_bar_t), the
    scale of a landscape step (as in the code released with arXiv 2406.11179).
    """

    def __init__(self, noise_levels: int):
        super().__init__()
        betas = cosine_betas(noise_levels)
        alpha_bar = np.cumprod(1 - betas)
        for name, values in {
            "alpha_bar": alpha_bar,
            "sqrt_alpha_bar": np.sqrt(alpha_bar),
            "sqrt_noise": np.sqrt(1 - alpha_bar),
            "step_size": betas / np.sqrt(1 - alpha_bar),
        }.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def at(self, name: str, t: Tensor) -> Tensor:
        """The constant `name` of each row's level, shaped to multiply matrices: t (S, B) -> (S, B, 1, 1)."""
        return getattr(self, name)[t][..., None, None]

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps. Source: Ho et al. 2020 (arXiv 2006.11239), eq. 4."""
        return self.at("sqrt_alpha_bar", t) * x0 + self.at("sqrt_noise", t) * eps

    def denoised(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The x0 that `noised` would take to x_t with this eps."""
        return (x_t - self.at("sqrt_noise", t) * eps) / self.at("sqrt_alpha_bar", t)
