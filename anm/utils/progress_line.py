"""Lines of progress: in a terminal one line that updates, elsewhere one line after the other."""

import sys
from typing import TextIO


class ProgressLine(str):
    """A line that the next line of progress replaces in a terminal."""


class LinePrinter:
    """Prints lines to a stream (default: standard output). As a context, it ends the line that updates."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.updates = self.stream.isatty()
        self.open = False  # whether the cursor is still in a line of progress

    def __call__(self, line: str) -> None:
        updating = self.updates and isinstance(line, ProgressLine)
        start = ("\r\x1b[K" if updating else "\n") if self.open else ""
        self.stream.write(start + line + ("" if updating else "\n"))
        if self.updates:
            self.stream.flush()
        self.open = updating

    def __enter__(self) -> "LinePrinter":
        return self

    def __exit__(self, *error) -> None:
        if self.open:
            self.stream.write("\n")
            self.open = False
