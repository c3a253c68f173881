"""Noise levels: alpha_bar per level, and the conversions between x0, x_t and eps."""

import numpy as np
import torch
from torch import Tensor, nn

from anm.utils.rows import per_row


def cosine_betas(noise_levels: int, s: float = 0.008) -> np.ndarray:
    """beta_t of the cosine schedule, float64, (T,). Source: Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17."""
    time = np.linspace(0, 1, noise_levels + 1)
    alpha_bar = np.cos((time + s) / (1 + s) * np.pi / 2) ** 2
    return np.clip(1 - alpha_bar[1:] / alpha_bar[:-1], 0, 0.999)


class Schedule(nn.Module):
    """Constants of the noise levels, each (T,), float32; level 0 has the least noise.

    alpha_bar: the share of the answer's variance in x_t. sqrt_noise: sqrt(1 - alpha_bar), the scale of the noise.
    step_size: eta_t = beta_t / sqrt(1 - alpha_bar_t), the size of a landscape step, as in the code released
    with arXiv 2406.11179.
    """

    def __init__(self, noise_levels: int):
        super().__init__()
        betas = cosine_betas(noise_levels)
        alpha_bar = np.cumprod(1 - betas)
        constants = {
            "alpha_bar": alpha_bar,
            "sqrt_alpha_bar": np.sqrt(alpha_bar),
            "sqrt_noise": np.sqrt(1 - alpha_bar),
            "step_size": betas / np.sqrt(1 - alpha_bar),
        }
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """The constant `name` at each row's level t (S, B), shaped to multiply `like` (S, B, *shape)."""
        return per_row(getattr(self, name)[t], like)

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps. Source: Ho et al. 2020 (arXiv 2006.11239), eq. 4."""
        return self.at("sqrt_alpha_bar", t, x0) * x0 + self.at("sqrt_noise", t, eps) * eps

    def denoised(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The x0 for which `noised` gives x_t with this eps."""
        return (x_t - self.at("sqrt_noise", t, eps) * eps) / self.at("sqrt_alpha_bar", t, x_t)
