"""What goes wrong in a way the user can mend: one clear line each, never a traceback on the terminal."""

from __future__ import annotations


class LabError(Exception):
    """A failure with a cause the user can act on; the command ends with exit code 1."""

    exit_code = 1


class ConfigError(LabError):
    """The configuration itself is wrong; nothing was started and the command ends with exit code 2."""

    exit_code = 2


class AssetError(LabError):
    """A file or a weight cannot be had: names the URI and what would satisfy it."""


class DataError(LabError):
    """A table cannot be used as it is: names the file, the line or the column."""


class RunError(LabError):
    """A run directory is not what the verb needs: names the directory and the missing part."""


class Pruned(BaseException):
    """A trial of a sweep was ended early, since others are better; no failure, so not an ``Exception``."""


class Interrupted(BaseException):
    """The user stopped the run with Ctrl-C; no failure, so not an ``Exception``. The command ends with 130."""

    exit_code = 130


class InterruptedLearning(Interrupted):
    """The same, where what was learned without a gradient so far can be used: it becomes the run's model."""
