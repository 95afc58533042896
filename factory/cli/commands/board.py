"""`factory board`: which wheels run on this machine, or on one whose /proc/cpuinfo is given."""

from factory.board.finder import configure, run

__all__ = ["configure", "run"]
