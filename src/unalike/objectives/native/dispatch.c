/* The kernels for the widest instruction set that this processor has, or for the one that is asked for. */
#include "kernel.h"

#define DECLARE(isa)                                                       \
  int unalike_forward_##isa(const Walk *);                                 \
  int unalike_backward_##isa(const Walk *);                                \
  int unalike_whole_##isa(Walk *);                                         \
  int unalike_pairs_##isa(const Walk *, double *);                         \
  double unalike_longest_##isa(const float *, int64_t, int64_t);
DECLARE(avx512)
DECLARE(avx2)
DECLARE(baseline)

static int chosen = 0;

/* 3 AVX-512, 2 AVX2, 1 baseline */
int unalike_widest(void) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return 3;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 2 : 1;
}

int unalike_choose(int level) {
  int widest = unalike_widest();
  return chosen = level < 1 || level > widest ? widest : level;
}

/* Bytes of the structure, so that a library of another version is not taken for this one. */
int64_t unalike_walk_bytes(void) { return sizeof(Walk); }

#define CALL(name, ...)                                                    \
  switch (chosen ? chosen : unalike_choose(0)) {                           \
    case 3: return unalike_##name##_avx512(__VA_ARGS__);                   \
    case 2: return unalike_##name##_avx2(__VA_ARGS__);                     \
    default: return unalike_##name##_baseline(__VA_ARGS__);                \
  }

int unalike_forward(const Walk *w) { CALL(forward, w) }
int unalike_backward(const Walk *w) { CALL(backward, w) }
int unalike_whole(Walk *w) { CALL(whole, w) }
int unalike_pairs(const Walk *w, double *scores) { CALL(pairs, w, scores) }
double unalike_longest(const float *rows, int64_t n, int64_t d) { CALL(longest, rows, n, d) }
