"""Where the files of a study are, and where its results go."""

from pathlib import Path

from anm.utils.git import PACKAGE

PROJECT = PACKAGE.parent  # the clone, unless the package was installed from a wheel
PACKAGED = PACKAGE / "data"  # the same files in a wheel; a clone has no such folder
IN_CLONE = not PACKAGED.is_dir()
FILES = PROJECT if IN_CLONE else PACKAGED  # notebooks/, params/ and slurm/


def work_folder() -> Path:
    """The folder of reports/ and checkpoints/: the clone from inside of it, the current folder from elsewhere."""
    here = Path.cwd().resolve()
    return PROJECT if IN_CLONE and here.is_relative_to(PROJECT) else here


def shipped_energies() -> dict[str, Path]:
    """The trained energies that come with anm: name -> checkpoint."""
    folder = PROJECT / "reports" / "cpu" if IN_CLONE else PACKAGED / "energies"
    return {path.stem: path for path in sorted(folder.glob("*.pt"))}


def params_file(name: str) -> Path | None:
    """params/<name>.yaml: the user's own, else the one that comes with anm, else None."""
    places = [folder / "params" / f"{name}.yaml" for folder in (work_folder(), FILES)]
    return next((path for path in places if path.is_file()), None)


def params_names() -> list[str]:
    """The names of all studies and strategies with a file in params/."""
    return sorted({path.stem for folder in (work_folder(), FILES) for path in (folder / "params").glob("*.yaml")})
