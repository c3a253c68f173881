"""Energies E(A, x_t, t) and their gradients."""

from anm.energy.base import Energy, Landscape
from anm.energy.bilinear import EnergyBilinear
from anm.energy.mlp import EnergyMLP
from anm.energy.residual import EnergyResidual

__all__ = ["Energy", "EnergyBilinear", "EnergyMLP", "EnergyResidual", "Landscape"]
