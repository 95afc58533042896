"""FFmpeg's libraries, headers and programs; `BIN` is the folder of ffmpeg and ffprobe."""

from pathlib import Path

BIN = Path(__file__).parent / "bin"
