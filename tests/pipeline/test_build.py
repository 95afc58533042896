"""One small C package through every stage, in the real root, by the real command."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from factory.errors import AuditFailed, BuildFailed, CheckFailed, RecipeError, StoreError
from factory.pipeline.order import STAGES
from factory.store.cache_areas import lock_of
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.locks import held
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, make_checkout
from tests.support.folder_server import folder_served
from tests.support.processes import survivors
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment

DISPATCHED = '[audit]\ndispatched = ["vectors_c*.so"]\n'


def test_wheel_has_lowest_tag_and_passed_every_profile(built: Checkout) -> None:
    wheel = built.wheel()
    assert wheel.name == "vectors_c-1.0-cp313-cp313-manylinux_2_27_riscv64.manylinux_2_31_riscv64.whl" or (
        wheel.name.startswith("vectors_c-1.0-cp313-cp313-manylinux_2_") and wheel.name.endswith("_riscv64.whl")
    )
    (record,) = (json.loads(path.read_text()) for path in built.cache.glob("store/records/*.json"))
    assert [check["profile"] for check in record["checks"]] == ["rv64gc", "rvv128", "k1", "rva23", "vlen1024"]
    assert all(check["shown"] == "sum 499500.0" for check in record["checks"])


def test_the_record_says_what_made_the_wheel(built: Checkout) -> None:
    (record,) = (json.loads(path.read_text()) for path in built.cache.glob("store/records/*.json"))
    assert record["wheel_sha256"] == sha256_of(built.wheel())
    assert [stage["stage"] for stage in record["stages"]] == list(STAGES)
    assert all((built.cache / stage["log"]).is_file() for stage in record["stages"])
    commands = {stage["stage"]: stage["commands"] for stage in record["stages"]}
    assert any("backend_call.py" in line for line in commands["build"])
    assert any("auditwheel repair" in line for line in commands["repair"])
    assert record["toolchain"]["g++-14-riscv64-linux-gnu"].startswith("14.")
    assert "setuptools" in [pin["name"] for pin in record["requirements"]]
    assert {"gcc-14-riscv64-linux-gnu", "python3.13-dev"} <= {pin["name"] for pin in record["environment"]}


def test_a_second_build_does_nothing_and_says_so(built: Checkout) -> None:
    before = sha256_of(built.wheel())
    again = built.factory("build", "vectors-c")
    assert (again.returncode, sha256_of(built.wheel())) == (0, before)
    assert f"vectors-c 1.0: already built, {built.wheel().name}" in again.stderr
    assert "started" not in again.stderr


def test_the_job_leaves_nothing_but_the_store_and_the_logs(built: Checkout) -> None:
    assert [path.name for path in (built.cache / "jobs").iterdir() if path.is_dir()] == []


def test_check_installs_the_stored_wheel_again_and_prints_json(built: Checkout) -> None:
    checked = built.factory("check", "vectors-c", "--profile", "k1", "--json")
    assert checked.returncode == 0, checked.stderr
    (result,) = json.loads(checked.stdout)
    assert (result["profile"], result["passed"], result["shown"]) == ("k1", True, "sum 499500.0")


def test_index_publishes_it_and_check_installs_it_from_there(built: Checkout, tmp_path: Path) -> None:
    index = tmp_path / "index"
    published = built.factory("index", "--output", str(index), "--ledger", str(tmp_path / "ledger"))
    assert published.returncode == 0, published.stderr
    assert "passed on rv64gc rvv128 k1 rva23 vlen1024" in published.stdout
    built_log, check_log = (index / "files" / f"{built.wheel().name}.{log}.txt" for log in ("build", "check-3.13"))
    assert "$ /build/venv/bin/python /inputs/backend_call.py" in built_log.read_text()
    assert "\n# vlen1024: passed: sum 499500.0\n" in check_log.read_text()
    assert check_log.name in (index / "project/vectors-c/1.0.html").read_text()
    verified = built.factory("index", "--verify", "--output", str(index), "--ledger", str(tmp_path / "ledger"))
    assert verified.returncode == 0, verified.stderr
    checked = built.factory("check", "vectors-c", "--index", str(index), "--profile", "rv64gc")
    assert (checked.returncode, "rv64gc: sum 499500.0" in checked.stderr) == (0, True), checked.stderr


def test_signed_build_is_taken_by_another_cache(built: Checkout, fresh_cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("securesystemslib", reason="the extra `provenance` is not installed")
    key, index, settings = tmp_path / "key.pem", tmp_path / "out", built.root / "index/site.toml"
    for command in (
        ["attest", "--new-key", str(key)],
        ["attest", "--key", str(key)],
        ["index", "--output", str(index), "--ledger", str(tmp_path / "ledger")],
    ):
        done = built.factory(*command)
        assert done.returncode == 0, done.stderr
    settings.parent.mkdir(exist_ok=True)
    signers = f'[[signers]]\nname = "we"\nkey = "{key}.pub"\n'
    settings.write_text(signers)
    other = Checkout(root=built.root, cache=fresh_cache)
    refused = other.factory("build", "vectors-c", "--only-substitutes")
    with folder_served(index) as url:
        settings.write_text(f'substitute = "{url}"\n{signers}')
        taken = other.factory("build", "vectors-c", "--only-substitutes")
    settings.unlink()
    assert (refused.returncode, "or substitute in site.toml" in refused.stderr) == (2, True)
    assert taken.returncode == 0, taken.stderr
    assert f"vectors-c 1.0: taken from {url}, {built.wheel().name}" in taken.stderr
    assert "started" not in taken.stderr
    assert sha256_of(other.wheel()) == sha256_of(built.wheel())


def test_debians_own_compilers_under_qemu_make_the_same_wheel(
    built: Checkout, fresh_cache: Path, tmp_path: Path
) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    emulated = checkout.factory("build", "vectors-c", "--mode", "emulated")
    assert emulated.returncode == 0, emulated.stderr
    assert checkout.wheel().name == built.wheel().name
    assert contents(checkout.wheel()) == contents(built.wheel())


def test_a_docker_engine_makes_the_same_bytes(
    built: Checkout, docker_engine: None, fresh_cache: Path, tmp_path: Path
) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    contained = checkout.factory("build", "vectors-c", "--environment", "docker")
    assert contained.returncode == 0, contained.stderr
    assert checkout.wheel().name == built.wheel().name
    assert sha256_of(checkout.wheel()) == sha256_of(built.wheel())
    (record,) = (json.loads(path.read_text()) for path in fresh_cache.glob("store/records/*.json"))
    assert (record["environment_kind"], record["mode"]) == ("docker", "hybrid")
    again = checkout.factory("build", "vectors-c")
    assert "vectors-c 1.0: already built" in again.stderr


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_unguarded_vector_code_fails_audit_with_hint(fresh_cache: Path, tmp_path: Path) -> None:
    failed = make_checkout(tmp_path / "checkout", fresh_cache, kind="vector").factory("build", "vectors-c")
    assert failed.returncode == AuditFailed.exit_code, failed.stderr
    assert "vectors_c.cpython-313-riscv64-linux-gnu.so" in failed.stderr
    assert "dispatched" in failed.stderr


def test_false_dispatch_claim_fails_without_vectors(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, kind="vector", more=DISPATCHED)
    failed = checkout.factory("build", "vectors-c")
    assert failed.returncode == CheckFailed.exit_code, failed.stderr
    assert any("rv64gc: " in line and "SIGILL" in line for line in failed.stderr.splitlines()), failed.stderr
    assert "k1: sum 499500.0" in failed.stderr


def test_compiler_error_shows_lines_log_and_hint(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, kind="nonsense")
    failed = checkout.factory("build", "vectors-c")
    assert failed.returncode == BuildFailed.exit_code
    assert "VECTORS_C is 'nonsense'" in failed.stderr
    assert " factory shell vectors-c --python 3.13\n" in failed.stderr
    assert str(checkout.cache / "logs/vectors-c-1.0") in failed.stderr
    (failure,) = Store(checkout.cache / "store").failures()
    # setup.py runs first when the backend lists its requirements, which is part of the environment stage.
    assert (failure.name, failure.python, failure.stage) == ("vectors-c", "3.13", "environment")
    assert "VECTORS_C is 'nonsense'" in failure.message
    inside = checkout.factory("shell", "vectors-c", "--", "sh", "-c", "ls /build/src/setup.py && gcc -dumpmachine")
    assert inside.stdout.split() == ["/build/src/setup.py", "riscv64-linux-gnu"], inside.stderr


def test_build_after_shell_resumes_unless_files_changed(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE, smoke="import vectors_c\n")
    assert checkout.factory("build", "vectors-c").returncode == CheckFailed.exit_code
    looked = checkout.factory("shell", "vectors-c", "--", "ls", "/build/src/setup.py")
    assert (looked.returncode, "clean tree" in looked.stderr) == (0, False)
    again = checkout.factory("build", "vectors-c")
    assert ("check: started" in again.stderr, "build: started" in again.stderr) == (True, False), again.stderr
    changed = checkout.factory("shell", "vectors-c", "--", "sh", "-c", "echo > /build/venv/left")
    assert "clean tree" in changed.stderr
    anew = checkout.factory("build", "vectors-c")
    assert "clean tree" in anew.stderr
    assert "environment: started" in anew.stderr
    (job,) = (path for path in fresh_cache.glob("jobs/vectors-c-*") if path.is_dir())
    assert not (job / "work/venv/left").exists()


def test_a_shell_waits_for_a_build_of_the_same_job(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    assert checkout.factory("shell", "vectors-c", "--", "true").returncode == 0
    (job,) = (path for path in fresh_cache.glob("jobs/vectors-c-*") if path.is_dir())
    with held(lock_of(job)):
        shell = checkout.start("shell", "vectors-c", "--", "true")
        assert shell.stderr is not None
        assert any("vectors-c 1.0: waiting" in line for line in shell.stderr)
    assert shell.wait() == 0


def test_a_script_that_reports_nothing_fails_the_check(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE, smoke="import vectors_c\n")
    failed = checkout.factory("build", "vectors-c")
    assert failed.returncode == CheckFailed.exit_code
    assert "rv64gc: smoke.py " in failed.stderr


def test_a_broken_recipe_fails_before_anything_is_made(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", tmp_path / "cache", more='[check]\nprofles = ["rv64gc"]\n')
    failed = checkout.factory("build", "vectors-c")
    assert failed.returncode == RecipeError.exit_code
    assert "recipes/vectors-c/recipe.toml:13: check.profles: unknown key" in failed.stderr
    assert "'profiles'" in failed.stderr
    assert not (tmp_path / "cache").exists()


def test_build_killed_at_every_stage_gives_same_wheel(built: Checkout, fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    for stage in STAGES:
        if not list(fresh_cache.glob(f"jobs/*/steps/{stage}.json")):
            kill_at(checkout, stage)
    finished = checkout.factory("build", "vectors-c")
    assert finished.returncode == 0, finished.stderr
    assert "build: started" not in finished.stderr
    assert sha256_of(checkout.wheel()) == sha256_of(built.wheel())


# Log texts in the middle of the long stages; the short ones would be over.
MIDDLES = {"environment": "$ uv pip install", "build": "building 'vectors_c'", "check": "smoke.py"}


def kill_at(checkout: Checkout, stage: str) -> None:
    """Kill a build during `stage` and check that no process survives."""
    with checkout.start("build", "vectors-c") as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith(f"vectors-c 1.0: {stage}: started"):
                break
        else:
            pytest.fail(f"never came to {stage}: {seen}")
        wait_until(
            lambda: MIDDLES.get(stage, "") in checkout.log("vectors-c-1.0", stage), seconds=1800, process=process
        )
        process.kill()
    assert survivors(checkout.cache) == []


def test_two_parallel_builds_make_one_wheel(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, smoke=SUMS, more=ONE_PROFILE)
    processes = [checkout.start("build", "vectors-c") for _ in range(2)]
    reports = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], reports
    assert sum("build: started" in report for report in reports) == 1
    assert sum("already built" in report for report in reports) == 1
    assert checkout.wheel().is_file()


def test_full_disk_is_one_error_and_build_resumes(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    jobs = fresh_cache / "jobs"
    jobs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(jobs)], check=True)
    try:
        failed = checkout.factory("build", "vectors-c")
    finally:
        subprocess.run(["umount", str(jobs)], check=True)
    assert failed.returncode in (BuildFailed.exit_code, StoreError.exit_code)
    assert "No space left on device" in failed.stderr
    assert "FACTORY_CACHE" in failed.stderr
    assert checkout.factory("build", "vectors-c").returncode == 0
