# Sourced by the batch scripts: changes to the project's folder, sets $python, and defines fail.
# $python is ANM_PYTHON if that is set, else .venv/bin/python if it exists, else the active `python3`.

fail() {
    echo "anm: error: $*" >&2
    exit 2
}

cd "$SLURM_SUBMIT_DIR" ||
    fail "$SLURM_SUBMIT_DIR is not on node $(hostname); submit from a folder that all nodes share"
[ -f slurm/papermill.sbatch ] ||
    fail "$SLURM_SUBMIT_DIR is not the project's folder; cd to it, then sbatch slurm/papermill.sbatch"

python="${ANM_PYTHON:-.venv/bin/python}"
[ -n "${ANM_PYTHON:-}" ] || [ -x "$python" ] || python=python3
command -v "$python" >/dev/null || fail "$python: no such python; run make setup on the login node," \
    "or name the python of another environment: ANM_PYTHON=/path/to/python sbatch ..."
