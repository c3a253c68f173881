"""anm.analysis."""
