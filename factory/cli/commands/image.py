"""`factory image`: make a container image for cibuildwheel."""

from __future__ import annotations

import argparse
from pathlib import Path

from factory.cli.options import add_mode_options, make_run
from factory.cli.values import output_path
from factory.host.docker_engine import connect, engine_errors
from factory.host.ownership import owned_by_user
from factory.model.target import PYTHONS
from factory.pipeline.run import Run
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.docker.image import ensure_image, image_archive, image_tag
from factory.stages.environments.manylinux import IMAGE_REPOSITORY, manylinux_image, manylinux_root
from factory.util.atomic_files import write_pieces

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_mode_options(parser)
    parser.add_argument(
        "--cibuildwheel", action="store_true", required=True, help="make an image that replaces manylinux_2_39"
    )
    parser.add_argument("--tag", metavar="NAME", help="name of the image (default: named by its content)")
    parser.add_argument(
        "--output",
        type=output_path,
        metavar="FILE",
        help="write an archive for `docker load` instead of loading the image",
    )


def run(args: argparse.Namespace) -> int:
    """Make the image and print the settings for cibuildwheel."""
    chosen = make_run(args)
    root = manylinux_root(chosen.roots.store, chosen.config.mode, RootRequest())
    image = _write(root, args.output, args.tag, chosen) if args.output else _load(root, args.tag, chosen)
    builds = " ".join(f"cp{python.replace('.', '')}-manylinux*" for python in PYTHONS)
    print(f"CIBW_MANYLINUX_RISCV64_IMAGE={image}\nCIBW_ARCHS=riscv64\nCIBW_BUILD={builds}")
    return 0


def _load(root: Root, name: str | None, run: Run) -> str:
    """Load the image into this machine's engine; return its name."""
    with connect() as client:
        config, stages = manylinux_image(root), run.stages("environment")
        tag = ensure_image(client, root.layers, config, stages, "manylinux image", IMAGE_REPOSITORY)
        if name is not None:
            with engine_errors(f"tag the image {name}"):
                client.images.get(tag).tag(*repository_and_tag(name))
    return name or tag


def _write(root: Root, archive: Path, name: str | None, run: Run) -> str:
    """Write the image as an archive, without an engine; return its name."""
    config = manylinux_image(root)
    # Engines refuse an archive whose image has no tag.
    tag = ":".join(repository_and_tag(name)) if name else image_tag(root.layers, config, IMAGE_REPOSITORY)
    with owned_by_user(archive), run.stages("environment")("manylinux image"):
        write_pieces(archive, image_archive([layer.tree for layer in root.layers], config, tag))
    run.reporter.line(f"load it with: docker load --input {archive}")
    return tag


def repository_and_tag(name: str) -> tuple[str, str]:
    """Split an image name; a colon before a slash belongs to a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")
