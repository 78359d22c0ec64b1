/* What Python hands to the kernels: one walk over the scores of n queries and m keys.

   Everything is row-major float32 unless said otherwise. Pointers may be null where the comment says so. */
#ifndef UNALIKE_KERNEL_H
#define UNALIKE_KERNEL_H
#include <stdint.h>

typedef void (*sgemm_fn)(const char *, const char *, const int *, const int *, const int *, const float *,
                         const float *, const int *, const float *, const int *, const float *, float *, const int *);
typedef void (*parallel_fn)(void (*)(void *), void *, unsigned, unsigned); /* GOMP_parallel */
typedef int (*local_threads_fn)(int);                                      /* mkl_set_num_threads_local */

typedef struct {
  sgemm_fn sgemm;
  parallel_fn parallel;
  local_threads_fn local_threads;
  int64_t threads;
  int64_t tile_rows, tile_columns;

  const float *queries, *keys; /* n x d, m x d; the same where symmetric */
  int64_t n, m, d;
  float scale;            /* log2(e) / temperature */
  const float *row_scale; /* n of them instead, or null */
  float shift;            /* taken off every score, in units of log2 */
  int64_t symmetric;      /* walk tiles on and above the diagonal only */
  int64_t columns;        /* sums over columns too */

  const int32_t *row_label, *column_label; /* null without labels; labels that are alike to nothing never meet */
  int64_t separate;                        /* labels: 1 sums pairs of the same label on their own, 0 leaves them out */
  const int64_t *pointers, *partners;      /* pairs held apart, as rows of sorted columns; null without */

  double *row_sum, *row_same, *column_sum, *column_same; /* forward: results; null where not asked for */

  const float *row_weight, *row_same_weight;       /* backward: derivative by each exponential, over temperature */
  const float *column_weight, *column_same_weight; /* null where zero */
  const float *pair_weight;                        /* derivative by the score of each pair held apart; null for zero */
  float *d_queries, *d_keys;                       /* results; d_keys null where symmetric */

  float *stored;         /* exponentials kept between forward and backward, those of the first tiles; or null */
  int64_t stored_floats; /* how many */
  int64_t have;          /* they are there already */

  /* a whole loss with its gradients: the mean of softplus(negatives - positive) over rows, and over columns */
  const int64_t *only; /* which of the pairs held apart is each row's only positive; with columns, row i's is column i */
  double *positive;    /* room for n scores */
  float *room;         /* room for 2n + m + pairs */
  double loss;         /* result */
} Walk;

#endif
