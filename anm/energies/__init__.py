"""Energies E(A, x_t, t) with their gradients, and the base classes for your own."""

from anm.energies.base import AutogradEnergy, Energy, Landscape, StackedLinear, build_energy
from anm.energies.bilinear import EnergyBilinear
from anm.energies.mlp import EnergyMLP
from anm.energies.residual import EnergyResidual

__all__ = [
    "AutogradEnergy",
    "Energy",
    "EnergyBilinear",
    "EnergyMLP",
    "EnergyResidual",
    "Landscape",
    "StackedLinear",
    "build_energy",
]
