"""`/proc/cpuinfo` of real boards: the lines of their first core."""

from __future__ import annotations

# What the first core of these boards has in /proc/cpuinfo.
X60 = "rv64imafdcv_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zfh_zfhmin_zca_zcd_zba_zbb_zbc_zbs_zkt"


X100 = (
    "rv64imafdcvh_zicbom_zicond_zfa_zfbfmin_zfh_zfhmin_zca_zcb_zcd_zba_zbb_zbc_zbs_zvbb_zvfbfmin_zvfbfwma_zvfh_zvfhmin"
)


C920V2 = (
    "rv64imafdcv_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintntl_zihintpause_zihpm_zawrs_zfa_zfh_zfhmin_zca_zcb"
    "_zcd_zba_zbb_zbc_zbs_zve32f_zve32x_zve64d_zve64f_zve64x_zvfh_zvfhmin_sscofpmf_sstc_svinval_svnapot_svpbmt"
)


D1 = "isa: rv64imafdcvu\nmmu: sv39"


# Without `uarch`, and without most extensions.
VENDORS_K1 = (
    "model name: Spacemit(R) X60\nisa: rv64imafdcv_sscofpmf_sstc_svpbmt_zicbom_zicboz_zicbop_zihintpause\n"
    "mmu: sv39\nmvendorid: 0x710"
)


SAMPLES = {
    "VisionFive 2, Linux 5.15": ("isa: rv64imafdc\nuarch: sifive,u74-mc", "rv64gc", "", 0),
    "VisionFive 2, Linux 6.6": (
        "isa: rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb\nuarch: sifive,u74-mc\nmvendorid: 0x489",
        "rv64gc",
        "",
        0,
    ),
    "HiFive Premier P550": (
        "isa: rv64imafdch_zicsr_zifencei_zba_zbb_sscofpmf\nmvendorid: 0x489\nmarchid: 0x8000000000000008",
        "rv64gc",
        "",
        0,
    ),
    "Milk-V Pioneer (SG2042), its vendor's kernel": (
        "isa: rv64imafdcv\nmmu: sv39\nmvendorid: 0x5b7\nmarchid: 0x0\nmimpid: 0x0",
        "rv64gc",
        "draft",
        0,
    ),
    "Lichee Pi 4A (TH1520), its vendor's kernel": (
        "isa: rv64imafdcvsu\nmmu: sv39\ncpu-freq: 1.848Ghz\ncpu-vector: 0.7.1",
        "rv64gc",
        "draft",
        0,
    ),
    "Lichee Pi 4A (TH1520), Linux 6.6": (
        "isa: rv64imafdc_zicntr_zicsr_zifencei_zihpm\nuarch: thead,c910\nmvendorid: 0x5b7\nmarchid: 0x0",
        "rv64gc",
        "",
        0,
    ),
    "Lichee RV (D1), its vendor's Linux 5.4": (D1, "rv64gc", "unknown", 0),
    "Lichee RV (D1), Linux 6.1": ("isa: rv64imafdc\nmmu: sv39\nuarch: thead,c906", "rv64gc", "", 0),
    "SG2044 (C920v2)": (
        f"isa: {C920V2}\nmmu: sv48\nuarch: thead,c920\n"
        "mvendorid: 0x5b7\nmarchid: 0x80000000090c0d00\nmimpid: 0x2047000",
        "rva23",
        "1.0",
        0,
    ),
    "CanMV K230 (C908)": (
        "isa: rv64imafdcv_zicbom_zicboz_zicntr_zicsr_zifencei_zihpm_zba_zbb_zbs_svpbmt\n"
        "uarch: thead,c908\nmvendorid: 0x5b7\nmarchid: 0x8000000009140d00",
        "rvv128",
        "1.0",
        128,
    ),
    "BPI-F3 (K1)": (
        f"model name: Spacemit(R) X60\nisa: {X60}_zvfh_zvfhmin_zvkt_sscofpmf\nuarch: spacemit,x60\nmvendorid: 0x710",
        "k1",
        "1.0",
        256,
    ),
    "BPI-F3 (K1), its vendor's Linux 6.1": (f"{VENDORS_K1}\nmarchid: 0x8000000058000001", "k1", "1.0", 256),
    "K3": (f"model name: Spacemit(R) X100\nisa: {X100}\nuarch: spacemit,x100", "rva23", "1.0", 256),
}
