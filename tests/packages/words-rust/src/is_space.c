int is_space(unsigned char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* 64 on riscv64 alone. */
int riscv_xlen(void) { return __riscv_xlen; }
