"""Call one PEP 517 hook in the build environment, with only the standard library.

Usage: python backend_call.py REQUEST.json ANSWER.json, in the source's folder. The request holds `backend`,
`backend_path`, `hook` and `arguments`; the answer is the hook's return value, or null where the hook is missing. An
interrupted run's answer and wheels are removed first.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path


def main(request_file: str, answer_file: str) -> None:
    """Import the backend as PEP 517 says and call the hook."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    remove(answer_file)
    if "wheel_directory" in request["arguments"]:
        remove(request["arguments"]["wheel_directory"])
        Path(request["arguments"]["wheel_directory"]).mkdir()
    sys.path[:0] = [str(Path(folder).resolve()) for folder in request["backend_path"]]
    module, _, attributes = request["backend"].partition(":")
    backend = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        backend = getattr(backend, attribute)
    hook = getattr(backend, request["hook"], None)
    answer = hook(**request["arguments"]) if hook is not None else None
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def remove(path: str) -> None:
    """Remove a file, a link or a folder, if it exists."""
    if Path(path).is_dir() and not Path(path).is_symlink():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
