// Asks llama.cpp's detection for its score, with the kernel's hwprobe replaced by values from the command line:
// scores.cpp MVENDORID MARCHID IMA_EXT_0. Without arguments the kernel answers.
#include <asm/hwprobe.h>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

static unsigned long long values[5];
static bool asks_the_kernel;

static long answer(long number, riscv_hwprobe *pairs, size_t count, size_t cpus_size, unsigned long *cpus, unsigned flags)
{
    if (asks_the_kernel)
        return syscall(number, pairs, count, cpus_size, cpus, flags);
    for (size_t i = 0; i < count; i++)
        pairs[i].value = values[pairs[i].key];
    return 0;
}

#define syscall answer
#include "ggml-cpu/arch/riscv/cpu-feats.cpp"

int main(int argc, char **argv)
{
    asks_the_kernel = argc < 4;
    const long long keys[] = { RISCV_HWPROBE_KEY_MVENDORID, RISCV_HWPROBE_KEY_MARCHID, RISCV_HWPROBE_KEY_IMA_EXT_0 };
    for (int i = 0; !asks_the_kernel && i < 3; i++)
        values[keys[i]] = strtoull(argv[1 + i], nullptr, 0);
    printf("%d\n", ggml_backend_cpu_riscv64_score());
}
