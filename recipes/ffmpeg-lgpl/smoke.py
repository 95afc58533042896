"""Pictures and sound coded and decoded by FFmpeg, with kernels for this CPU and in plain C: the same bytes."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import tempfile
from pathlib import Path

import ffmpeg_lgpl
import numpy as np

WIDTH, HEIGHT, FRAMES = 176, 144, 6
# Codec, container, pixels, and the least PSNR in dB; 0 where the codec loses nothing.
VIDEO = {
    "mjpeg": ("avi", "yuvj420p", 30),
    "mpeg2video": ("mpeg", "yuv420p", 28),
    "mpeg4": ("mp4", "yuv420p", 28),
    "h263p": ("avi", "yuv420p", 25),
    "prores": ("mov", "yuv422p10le", 30),
    "snow": ("avi", "yuv420p", 28),
    "vc2": ("mkv", "yuv420p", 30),
    "ffv1": ("mkv", "yuv420p", 0),
    "huffyuv": ("avi", "yuv422p", 0),
    "png": ("mov", "rgb24", 0),
}
# Codec, container, and the least signal-to-noise ratio in dB; 0 where the codec loses nothing.
SOUND = {"flac": ("flac", 0), "alac": ("m4a", 0), "aac": ("m4a", 20), "ac3": ("ac3", 20), "mp2": ("mp2", 20)}
AV_CPU_FLAG_RVV_I32 = 1 << 3  # libavutil/cpu.h
PLAIN = ["-cpuflags", "0"]
EXACT = ["-fflags", "+bitexact", "-flags", "+bitexact", "-sws_flags", "+accurate_rnd+bitexact"]


def ffmpeg(*options: str, inputs: bytes = b"") -> bytes:
    """Run ffmpeg on one thread and return its output."""
    program = [str(ffmpeg_lgpl.BIN / "ffmpeg"), "-v", "error", "-threads", "1", *options, "-threads", "1", "-"]
    return subprocess.run(program, input=inputs, stdout=subprocess.PIPE, check=True).stdout


def raw(kind: str) -> list[str]:
    return ["-f", "rawvideo", "-pix_fmt", kind, "-s", f"{WIDTH}x{HEIGHT}"]


def decibels(wanted: np.ndarray, found: np.ndarray, peak: float) -> float:
    """Return the ratio of a peak to the mean error."""
    error = np.mean((wanted.astype(float) - found) ** 2)
    return 10 * np.log10(peak**2 / error) if error else np.inf


def check_video(codec: str, folder: Path) -> None:
    """Code a test pattern and decode it, both in plain C and with this CPU's kernels."""
    container, pixels, least = VIDEO[codec]
    source = ["-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate=25"]
    pattern = ffmpeg(*PLAIN, *source, *EXACT, "-frames:v", str(FRAMES), *raw(pixels))
    coded, decoded = [], []
    for number, flags in enumerate((PLAIN, [])):
        path = folder / f"{codec}{number}.{container}"
        options = [*flags, *raw(pixels), "-r", "25", "-i", "-", *EXACT, "-c:v", codec, "-b:v", "4M", "-strict", "-2"]
        coding = [*options, "-idct", "simple", "-dct", "int", "-y", str(path)]
        program = [str(ffmpeg_lgpl.BIN / "ffmpeg"), "-v", "error", "-threads", "1", *coding]
        subprocess.run(program, input=pattern, check=True)
        coded.append(path.read_bytes())
        decoded.append(ffmpeg(*flags, "-idct", "simple", "-i", str(path), *EXACT, *raw(pixels)))
    assert coded[0] == coded[1], f"{codec}: coded otherwise than in plain C"
    assert decoded[0] == decoded[1], f"{codec}: decoded otherwise than in plain C"
    kind = np.dtype("<u2") if pixels.endswith("10le") else np.dtype("u1")
    assert len(pattern) == len(decoded[1]), (codec, len(pattern), len(decoded[1]))
    ratio = decibels(np.frombuffer(pattern, kind), np.frombuffer(decoded[1], kind), 1023 if kind.itemsize > 1 else 255)
    assert ratio >= (least or np.inf), (codec, ratio)


def check_sound(codec: str, folder: Path) -> None:
    """Code two tones, one of them rising, and decode them."""
    container, least = SOUND[codec]
    path = folder / f"sound.{container}"
    seconds = np.arange(48000) / 48000
    tones = np.sin(2 * np.pi * np.stack([200 * seconds + 1400 * seconds**2, 1234 * seconds], -1))
    samples = (tones * 12000).astype("<i2")
    given = ["-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "-", *EXACT, "-c:a", codec, "-b:a", "256k"]
    program = [str(ffmpeg_lgpl.BIN / "ffmpeg"), "-v", "error", *given, "-y", str(path)]
    subprocess.run(program, input=samples.tobytes(), check=True)
    back = np.frombuffer(ffmpeg("-i", str(path), *EXACT, "-f", "s16le", "-ac", "2"), "<i2").reshape(-1, 2)
    # Lossy codecs begin late.
    start, end = 4000, 20000
    spectrum = np.fft.rfft(back[:24000, 0], 65536) * np.fft.rfft(samples[:end, 0], 65536).conj()
    delay = int(np.argmax(np.fft.irfft(spectrum)[:4000])) if least else 0
    found, wanted = back[delay + start : delay + end], samples[start:end]
    ratio = decibels(wanted, found, float(np.sqrt(np.mean(wanted.astype(float) ** 2))))
    assert ratio >= (least or np.inf), (codec, ratio, delay)


libraries = Path(ffmpeg_lgpl.__file__).parent / "lib"
flags = ctypes.CDLL(str(libraries / "libavutil.so.59")).av_get_cpu_flags()
with tempfile.TemporaryDirectory() as name:
    for codec in VIDEO:
        check_video(codec, Path(name))
    for codec in SOUND:
        check_sound(codec, Path(name))
shown = f"{len(VIDEO)} video and {len(SOUND)} sound codecs right"
result = {"shown": shown, "facts": {"rvv": bool(flags & AV_CPU_FLAG_RVV_I32)}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
