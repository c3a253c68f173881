"""Train and score a feed-forward network, the baseline without an energy.

python -m anm.study.feed_forward -f params/bilinear.yaml mine/cpu/direct.json
"""

import argparse
import json
import os
import sys
from pathlib import Path

from anm.params import ParamError, RunParams
from anm.records.feed_forward import feed_forward_record
from anm.study.plan import load_yaml

REQUIRED = {"energy": "bilinear", "strategy": "none"}  # it has that energy's layers and no negatives


def main(arguments: list[str] | None = None) -> int:
    """Train, score and write one network; returns exit code 2 on a setting or an output that is not usable."""
    parser = argparse.ArgumentParser(prog="python -m anm.study.feed_forward", description=__doc__.splitlines()[0])
    repeated = {"action": "append", "default": []}
    parser.add_argument("-f", dest="files", type=Path, metavar="FILE", help="a YAML file of parameters", **repeated)
    parser.add_argument("-p", dest="settings", nargs=2, metavar=("NAME", "VALUE"), help="one parameter", **repeated)
    parser.add_argument("output", type=Path, help="the JSON file to write; it must not exist")
    options = parser.parse_args(arguments)
    try:
        params = feed_forward_params(options)
        if options.output.exists() or not os.access(options.output.parent, os.W_OK):
            raise ParamError(f"output = '{options.output}': must be a new file in an existing, writable folder")
    except ParamError as error:
        print(f"anm: error: {error}", file=sys.stderr)
        return 2
    part = options.output.with_name(options.output.name + ".part")
    part.write_text(json.dumps(feed_forward_record(params), indent=1))
    os.replace(part, options.output)
    print(options.output)
    return 0


def feed_forward_params(options: argparse.Namespace) -> RunParams:
    """The parameters that the options give. Raises `ParamError`."""
    given = {name: value for file in options.files for name, value in load_yaml(file).items()} | dict(options.settings)
    for name, required in REQUIRED.items():
        if given.setdefault(name, required) != required:
            raise ParamError(f"{name} = {given[name]!r}: must be {required!r} for a feed-forward network")
    params = RunParams(**given)
    params.check_machine()
    return params


if __name__ == "__main__":
    sys.exit(main())
