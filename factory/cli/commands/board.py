"""`factory board`: show which wheels this machine can run."""

from factory.board.finder import configure, run

__all__ = ["configure", "run"]
