/* Prints what riscv_hwprobe (syscall 258, key 4) says of V and Zvfh, and vlenb where there is V. */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pair { long long key; unsigned long long value; };

int main(void)
{
    struct pair ima = { 4, 0 };
    if (syscall(258, &ima, 1, 0, 0, 0) != 0)
        return 1;
    int v = ima.value >> 2 & 1, zvfh = ima.value >> 30 & 1;
    printf("V=%d Zvfh=%d", v, zvfh);
    if (v) {
        unsigned long vlenb;
        __asm__ volatile (".option push\n.option arch, +v\ncsrr %0, vlenb\n.option pop" : "=r"(vlenb));
        printf(" vlenb=%lu", vlenb);
    }
    puts("");
    return 0;
}
