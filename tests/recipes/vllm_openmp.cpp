// Loops and regions of Clang on libgomp: each iteration runs once, in each kind of loop that vLLM has.

#include <omp.h>

#include <cstdio>
#include <vector>

template <class T>
int check_loops(T count) {
  int wrong = 0;
  std::vector<int> seen(count > 0 ? count : 1);
#pragma omp parallel for
  for (T i = 0; i < count; ++i) __atomic_add_fetch(&seen[i], 1, __ATOMIC_SEQ_CST);
  for (T i = 0; i < count; ++i) wrong += seen[i] != 1;
#pragma omp parallel for schedule(static, 3)
  for (T i = 0; i < count; ++i) __atomic_add_fetch(&seen[i], 1, __ATOMIC_SEQ_CST);
  for (T i = 0; i < count; ++i) wrong += seen[i] != 2;
#pragma omp parallel for schedule(static, 1)
  for (T i = count; i > 0; --i) __atomic_add_fetch(&seen[i - 1], 1, __ATOMIC_SEQ_CST);
  for (T i = 0; i < count; ++i) wrong += seen[i] != 3;
  return wrong;
}

int check_collapsed() {
  long sum = 0, expected = 0;
#pragma omp parallel for collapse(2) schedule(static, 1)
  for (int i = 0; i < 7; ++i)
    for (long j = 0; j < 9; ++j) __atomic_add_fetch(&sum, i * 100 + j, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 7; ++i)
    for (long j = 0; j < 9; ++j) expected += i * 100 + j;
  return sum != expected;
}

int check_region() {
  int wrong = 0, threads[4] = {}, last = -1, entered = 0;
#pragma omp parallel num_threads(4)
  {
    threads[omp_get_thread_num()] = omp_get_num_threads();
#pragma omp barrier
#pragma omp for lastprivate(last)
    for (int i = 0; i < 10; ++i) last = i;
#pragma omp critical
    entered += 1;
  }
  for (int each : threads) wrong += each != 4;
  return wrong + (last != 9) + (entered != 4);
}

int main() {
  int wrong = 0;
  for (int threads = 1; threads < 6; ++threads) {
    omp_set_num_threads(threads);
    for (int count = 0; count < 23; ++count) {
      wrong += check_loops<int>(count) + check_loops<long>(count);
      wrong += check_loops<unsigned>(count) + check_loops<unsigned long>(count);
    }
  }
  wrong += check_collapsed() + check_region();
  std::printf("wrong: %d\n", wrong);
  return wrong != 0;
}
