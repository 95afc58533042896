"""Tests of `factory bench kernels` with a driver of a small project and a patch for it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.checkouts import ONE_PROFILE, Checkout, make_checkout

pytestmark = pytest.mark.environment
COUNT = 1000
DRIVER = """
extern "C" {
#include "sum.c"
}
#include <cstdio>
#include <cstdlib>

static float values[1000];

int main(int argc, char **argv)
{
    volatile float total = 0;
    for (int i = 0; i < 1000; i++)
        values[i] = 1;
    if (vectors_c_sum(values, 1000) != TOTAL)
        return 1;
    for (int i = 0; i < atoi(argv[2]); i++)
        total = vectors_c_sum(values, 1000);
    return 0;
}
"""
KERNELS = f"""
flags = ["-O2", "-DTOTAL={COUNT}"]
includes = ["src"]
[upstream]
k1 = ["-march=rv64gc"]
[patched]
k1 = ["-march=rv64gc"]
vlen1024 = ["-march=rv64gc"]
[drivers.sums.cases]
sum = {{ macs = {COUNT}, rows = 1, bits = 32 }}
"""
# Half of the loads and additions are left, and the sum is the same for equal values.
PATCH = """\
Subject: Add every other value twice
Description: For the tests.
Upstream-Status: Inappropriate
---
--- a/src/sum.c
+++ b/src/sum.c
@@ -5,7 +5,7 @@
 {
     float total = 0.0f;
%s
-    for (size_t i = 0; i < count; i++)
-        total += values[i];
+    for (size_t i = 0; i < count; i += 2)
+        total += values[i] * 2;
     return total;
 }
""".replace("%s", " ")  # a context line that is empty


@pytest.fixture
def checkout(fresh_cache: Path, tmp_path: Path) -> Checkout:
    made = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    kernels = made.root / "recipes/vectors-c/kernels"
    kernels.mkdir()
    (kernels / "kernels.toml").write_text(KERNELS)
    (kernels / "sums.cpp").write_text(DRIVER)
    patches = made.root / "patches/vectors-c/1.0"
    patches.mkdir(parents=True)
    (patches / "0001-add-every-other-value-twice.patch").write_text(PATCH)
    return made


def test_bench_kernels_counts_both_trees(checkout: Checkout, tmp_path: Path) -> None:
    plot = tmp_path / "kernels.svg"
    counted = checkout.factory("bench", "kernels", "vectors-c", "--json", "--plot", str(plot))
    assert counted.returncode == 0, counted.stderr
    upstream, ours, wide = json.loads(counted.stdout)
    assert [each["profile"] for each in (upstream, ours, wide)] == ["k1", "k1", "vlen1024"]
    assert (upstream["kernels"], ours["kernels"], wide["kernels"]) == ("upstream", "patched", "patched")
    assert COUNT <= upstream["by_class"]["loads"] < COUNT + 100
    assert COUNT // 2 <= ours["by_class"]["loads"] < COUNT // 2 + 100
    assert ours["by_class"] == wide["by_class"]
    assert COUNT < ours["predicted_cycles"] < upstream["predicted_cycles"] < 10 * COUNT
    assert wide["predicted_cycles"] is None
    shown = {text.text for text in ElementTree.fromstring(plot.read_text()).iter("{http://www.w3.org/2000/svg}text")}
    assert {"upstream", "patched", "floor"} <= shown
    assert not list(checkout.cache.glob("scratch/kernels-*"))


def test_bench_kernels_shows_table_of_one_profile(checkout: Checkout) -> None:
    counted = checkout.factory("bench", "kernels", "vectors-c", "--profile", "vlen1024", "--case", "sum")
    assert counted.returncode == 0, counted.stderr
    assert "patched" in counted.stdout
    assert "k1" not in counted.stdout


def test_bench_kernels_with_wrong_result_fails(checkout: Checkout) -> None:
    declared = checkout.root / "recipes/vectors-c/kernels/kernels.toml"
    declared.write_text(KERNELS.replace(f"TOTAL={COUNT}", "TOTAL=1"))
    counted = checkout.factory("bench", "kernels", "vectors-c", "--profile", "k1")
    assert counted.returncode != 0
    assert "sums-upstream-k1" in counted.stderr
