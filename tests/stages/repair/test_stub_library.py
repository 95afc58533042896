"""Stubs of libraries that are left out."""

from __future__ import annotations

from factory.elf.symbols import NeededSymbol
from factory.stages.repair.stub_library import stub_source, version_script


def test_stub_has_symbols_with_their_needed_versions() -> None:
    symbols = (
        NeededSymbol(name="mpi_init", version="", library="", data=False),
        NeededSymbol(name="ibv_open", version="IBV_1.1", library="libibverbs.so.1", data=False),
        NeededSymbol(name="ibv_table", version="IBV_1.0", library="libibverbs.so.1", data=True),
    )
    source = stub_source(symbols, ("libmpi.so.40", "libibverbs.so.1"))
    assert 'void mpi_init(void) { left_out("mpi_init"); }' in source
    assert "char ibv_table[256]" in source
    assert "one of: libmpi.so.40, libibverbs.so.1" in source
    assert version_script(symbols) == "IBV_1.0 { global: ibv_table; };\nIBV_1.1 { global: ibv_open; };\n"
