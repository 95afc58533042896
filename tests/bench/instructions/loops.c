/* Loops whose instructions are known: loops SCALAR VECTOR [WINDOW] runs each as often as it is told.

   WINDOW is more turns of the scalar loop, between two stops of the process. */

#include <signal.h>
#include <stdlib.h>

void scalar_loop(long turns);
void vector_loop(const float *in, float *out, long turns);

__asm__(".text\n"
        ".option push\n"
        ".option norvc\n"
        ".globl scalar_loop\n"
        ".type scalar_loop, @function\n"
        "scalar_loop:\n"
        "1: ld t0, 0(sp)\n"
        "fadd.d ft0, ft0, ft0\n"
        "addi a0, a0, -1\n"
        "bnez a0, 1b\n"
        "ret\n"
        ".size scalar_loop, . - scalar_loop\n"
        ".option arch, +v\n"
        ".globl vector_loop\n"
        ".type vector_loop, @function\n"
        "vector_loop:\n"
        "vsetivli zero, 4, e32, m2, ta, ma\n"
        "1: vle32.v v8, (a0)\n"
        "vfadd.vv v8, v8, v8\n"
        "vsetivli zero, 4, e16, mf2, ta, ma\n"
        "vadd.vi v4, v4, 1\n"
        "vsetivli zero, 4, e32, m2, ta, ma\n"
        "vse32.v v8, (a1)\n"
        "addi a2, a2, -1\n"
        "bnez a2, 1b\n"
        "ret\n"
        ".size vector_loop, . - vector_loop\n"
        ".option pop\n");

int main(int count, char **arguments)
{
    static float in[4], out[4];
    long vector = atol(arguments[2]);

    if (count < 3)
        return 2;
    scalar_loop(atol(arguments[1]));
    if (vector > 0)
        vector_loop(in, out, vector);
    if (count == 4) {
        raise(SIGSTOP);
        scalar_loop(atol(arguments[3]));
        raise(SIGSTOP);
        scalar_loop(7);
    }
    return 0;
}
