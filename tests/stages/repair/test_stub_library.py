"""What stands in for libraries that are left out."""

from __future__ import annotations

from factory.elf.patchelf import Wanted
from factory.stages.repair.stub_library import source_of, versions_of


def test_a_stand_in_has_the_versions_that_are_wanted_of_it() -> None:
    symbols = (
        Wanted(name="mpi_init", version="", library="", data=False),
        Wanted(name="ibv_open", version="IBV_1.1", library="libibverbs.so.1", data=False),
        Wanted(name="ibv_table", version="IBV_1.0", library="libibverbs.so.1", data=True),
    )
    source = source_of(symbols, ("libmpi.so.40", "libibverbs.so.1"))
    assert 'void mpi_init(void) { left_out("mpi_init"); }' in source
    assert "char ibv_table[256]" in source
    assert "one of: libmpi.so.40, libibverbs.so.1" in source
    assert versions_of(symbols) == "IBV_1.0 { global: ibv_table; };\nIBV_1.1 { global: ibv_open; };\n"
