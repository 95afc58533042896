"""Tests of the instruction benchmark: its arguments, its table and its chart."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from factory.bench.instructions.benchmark import Measurement, packages_with_libraries, select_cases
from factory.bench.instructions.classes import Counts
from factory.bench.instructions.report import compare, report
from factory.cli import main
from factory.cli.commands.bench_instructions import split_label
from factory.errors import AuditFailed, FactoryError, RecipeError


def test_select_cases_without_names_returns_all() -> None:
    assert select_cases(["a", "b"], [], Path("bench.py")) == ["a", "b"]
    assert select_cases(["a", "b"], ["b"], Path("bench.py")) == ["b"]
    with pytest.raises(RecipeError, match=r"bench\.py: no case 'c'\n  hint: .*a, b"):
        select_cases(["a", "b"], ["c"], Path("bench.py"))


def test_wheel_without_compiled_code_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "six-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("six.py", "")
    with pytest.raises(FactoryError, match="no compiled code"):
        packages_with_libraries(wheel)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("six/fast.so", b"\x7fELF")
        archive.writestr("six.libs/libm.so", b"\x7fELF")
    assert packages_with_libraries(wheel) == ("six", "six.libs")
    wheel.write_text("half a wheel")
    with pytest.raises(AuditFailed, match="not a readable zip archive"):
        packages_with_libraries(wheel)


def test_split_label_without_label_uses_file_name() -> None:
    assert split_label("blas=x/numpy-2.5.5-cp313-cp313-any.whl") == ("blas", Path("x/numpy-2.5.5-cp313-cp313-any.whl"))
    assert split_label("x/numpy-2.5.5-cp313-cp313-linux.whl")[0] == "numpy-2.5.5"
    assert split_label("a=b/numpy-2.5.5-py3-none-any.whl")[0] == "a"
    assert split_label("./a=b/numpy-2.5.5-py3-none-any.whl")[0] == "numpy-2.5.5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wheel", "/x/numpy.whl"], "/x/numpy.whl: not the name of a wheel"),
        (["--wheel", "/x/six-1.0-py3-none-any.whl"], "wheel of six, not of numpy"),
        (["--wheel", "/x/numpy-2.5.5-py3-none-any.whl"], "/x/numpy-2.5.5-py3-none-any.whl: no such file"),
        (["--plot", "x.png"], "charts are SVG files"),
        (
            ["--wheel", "/x/numpy-2.5.5-py3-none-any.whl", "--wheel", "/y/numpy-2.5.5-py3-none-any.whl"],
            "label 'numpy-2.5.5'\n  hint: --wheel old=FILE",
        ),
    ],
)
def test_bench_instructions_wrong_argument_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    assert main.main(["bench", "instructions", "numpy", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_bench_instructions_takes_wheels_of_recipes_project(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    wheel = "/x/torch-2.14.1-py3-none-any.whl"
    assert main.main(["bench", "instructions", "torch-debian", "--wheel", wheel]) != 0
    assert f"{wheel}: no such file" in capsys.readouterr().err


def counts(**by_class: int) -> Counts:
    vector = by_class.get("vector", 0)
    return Counts(
        by_class=by_class, by_vtype={"e32 m2": vector} if vector else {}, registers=2.0 * vector, code_bytes=8
    )


MEASURED = (
    Measurement(case="product", wheel="plain", profile="rv64gc", counts=counts(integer=3_000_000, loads=1_000_000)),
    Measurement(case="product", wheel="blas", profile="k1", counts=counts(integer=500_000, vector=500_000)),
)


def test_report_rows_have_ratios_to_first_row() -> None:
    found = report("numpy 2.5.5", MEASURED)
    first, second = (dict(zip(found.headings, row, strict=True)) for row in found.rows)
    assert (first["wheel"], first["total"], first["ratio"], first["loads"]) == (
        "plain",
        "4,000,000",
        "1.000",
        "1,000,000",
    )
    assert (second["total"], second["ratio"], second["weighted"]) == ("1,000,000", "0.250", "1,500,000")
    assert second["vector by type"] == "e32 m2 100%"


def test_report_does_not_mention_speed() -> None:
    found = report("numpy 2.5.5", MEASURED)
    words = " ".join([*found.preface, *found.headings, found.chart.title, found.chart.notes, found.chart.axis]).lower()
    assert not {"fast", "faster", "slow", "slower", "speed"} & set(words.split())


def test_report_chart_stacks_classes_in_millions() -> None:
    chart = report("numpy 2.5.5", MEASURED).chart
    assert chart.stacked
    assert list(chart.groups) == ["plain, rv64gc", "blas, k1"]
    assert dict(chart.series) == {"integer": [3.0, 0.5], "loads": [1.0, 0.0], "vector": [0.0, 0.5]}


def test_compare_has_one_column_per_compiler() -> None:
    gcc = Measurement(case="vec_dot 4096", wheel="gcc", profile="k1", counts=counts(integer=100, vector=100))
    clang = Measurement(case="vec_dot 4096", wheel="clang", profile="k1", counts=counts(integer=50, vector=100))
    found = compare("llama", (gcc, clang))
    (row,) = (dict(zip(found.headings, row, strict=True)) for row in found.rows)
    assert (row["total, gcc"], row["total, clang"], row["total, clang/gcc"]) == ("200", "150", "0.750")
    assert (row["weighted, gcc"], row["weighted, clang/gcc"]) == ("300", "0.833")
    assert (row["code, gcc"], row["code, clang/gcc"]) == ("8", "1.000")
    assert list(found.chart.groups) == ["vec_dot 4096, k1"]
    assert dict(found.chart.series) == {"gcc": [1.0], "clang": [250 / 300]}


def test_bench_kernels_without_builds_names_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path))
    assert main.main(["bench", "kernels"]) == 12
    shown = capsys.readouterr().err
    assert "llama-cpp-python 0.3.36: no build with gcc and clang" in shown
    assert "factory build llama-cpp-python --python 3.13 --toolchain gcc --toolchain clang" in shown


def test_report_chart_of_cases_is_relative_to_first_row() -> None:
    other = Measurement(case="sum", wheel="plain", profile="rv64gc", counts=counts(integer=20))
    chart = report("numpy 2.5.5", (*MEASURED, other)).chart
    assert list(chart.groups) == ["product, plain, rv64gc", "product, blas, k1", "sum, plain, rv64gc"]
    assert dict(chart.series) == {"integer": [0.75, 0.125, 1.0], "loads": [0.25, 0.0, 0.0], "vector": [0.0, 0.125, 0.0]}
