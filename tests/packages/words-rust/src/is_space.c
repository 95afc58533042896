int is_space(unsigned char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* 64 on riscv64, 0 where the C compiler was for another CPU. */
int riscv_xlen(void) {
#ifdef __riscv
  return __riscv_xlen;
#else
  return 0;
#endif
}
