"""Studies and sweeps: their plan, execution and preflight checks. `python -m anm.study --help` lists the commands."""
