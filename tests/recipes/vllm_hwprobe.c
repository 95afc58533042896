// The C library's syscall() with riscv_hwprobe's answer from the environment: extensions, or nothing for a refusal.
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

struct pair {
  int64_t key;
  uint64_t value;
};

long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  struct pair* answer = va_arg(arguments, struct pair*);
  va_end(arguments);
  const char* extensions = getenv("EXTENSIONS");
  if (number == 258 && extensions != NULL) {
    answer->value = strtoull(extensions, NULL, 0);
    return 0;
  }
  errno = EPERM;
  return -1;
}
