"""Lines of progress in a terminal and in a log."""

import io

from anm.utils.progress_line import LinePrinter, ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LINES = ["start", ProgressLine("step 1"), ProgressLine("step 2"), "warning", ProgressLine("step 3")]


def written(stream: io.StringIO) -> str:
    with LinePrinter(stream) as log:
        for line in LINES:
            log(line)
    return stream.getvalue()


def test_a_log_has_a_line_each():
    assert written(io.StringIO()) == "start\nstep 1\nstep 2\nwarning\nstep 3\n"


def test_in_a_terminal_progress_replaces_progress_and_nothing_else():
    assert written(Terminal()) == "start\nstep 1\r\x1b[Kstep 2\nwarning\nstep 3\n"


def test_an_error_starts_on_a_line_of_its_own():
    stream = Terminal()
    try:
        with LinePrinter(stream) as log:
            log(ProgressLine("step 1"))
            raise RuntimeError
    except RuntimeError:
        stream.write("Traceback")
    assert stream.getvalue() == "step 1\nTraceback"
