/* Sums of exponentials over the rows and columns of a score matrix that is never stored, and their derivatives.

   Products are the caller's sgemm on tiles that stay in the second-level cache; one pass over a tile does the
   exponentials and the sums, or the exponentials and the weights. Threads own tasks (blocks of tiles) whose results go to
   places of their own, and those are added up in a fixed order: the same input gives the same bits, whichever thread did
   what, and no thread waits for another before the end. Compiled once for each instruction set, see ISA. */
#include "kernel.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define EXPORT(name) JOIN(unalike_##name, ISA)
#define INLINE static inline __attribute__((always_inline))

typedef int64_t i64;

static const float APART = -1e30f; /* a score whose exponential is as good as zero */

INLINE i64 min64(i64 a, i64 b) { return a < b ? a : b; }
INLINE i64 max64(i64 a, i64 b) { return a > b ? a : b; }

/* 2^x for x up to 127; below -126 it stays at 2^-126. Polynomial of degree 6 on [-1/2, 1/2], within about 1 ulp. */
INLINE float exp2_fast(float x) {
  x = x < -126.f ? -126.f : x;
  const float magic = 12582912.f; /* adding 1.5 * 2^23 rounds to the nearest integer, left in the low bits */
  float shifted = x + magic;
  int32_t whole;
  memcpy(&whole, &shifted, 4);
  float r = x - (shifted - magic);
  float p = 1.5353362e-4f;
  p = p * r + 1.3398874e-3f;
  p = p * r + 9.6184370e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  int32_t bits;
  memcpy(&bits, &p, 4);
  bits += (int32_t)((uint32_t)whole << 23);
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

/* ------------------------------------------------------------------ products, row-major through column-major sgemm */

/* t (r x c) = a (r x d) b (c x d)^T */
static void scores_of(const Walk *w, const float *a, const float *b, float *t, int r, int c) {
  int d = (int)w->d;
  float one = 1.f, zero = 0.f;
  w->sgemm("T", "N", &c, &r, &d, &one, b, &d, a, &d, &zero, t, &c);
}

/* out (r x d) = beta out + t (r x c) b (c x d) */
static void spread_rows(const Walk *w, const float *t, const float *b, float *out, int r, int c, float beta) {
  int d = (int)w->d;
  float one = 1.f;
  w->sgemm("N", "N", &d, &r, &c, &one, b, &d, t, &c, &beta, out, &d);
}

/* out (c x d) = beta out + t (r x c)^T a (r x d) */
static void spread_columns(const Walk *w, const float *t, const float *a, float *out, int r, int c, float beta) {
  int d = (int)w->d;
  float one = 1.f;
  w->sgemm("N", "T", &d, &c, &r, &one, a, &d, t, &c, &beta, out, &d);
}

/* ------------------------------------------------------------------ passes over a tile of r x c */

typedef struct {
  i64 r0, c0, r, c;
} Tile;

INLINE float scale_of(const Walk *w, i64 row) { return w->row_scale ? w->row_scale[row] : w->scale; }

/* Where the exponentials of a tile are kept, null for tiles that there is no room for. Strips of tiles follow each other. */
static float *kept(const Walk *w, Tile tile) {
  i64 before = tile.r0 * w->m + tile.r * tile.c0;
  if (w->symmetric) { /* strips begin at the diagonal */
    i64 strip = tile.r0 / w->tile_rows;
    before = tile.r0 * w->m - w->tile_rows * w->tile_rows * (strip * (strip - 1) / 2) + tile.r * (tile.c0 - tile.r0);
  }
  return w->stored && before + tile.r * tile.c <= w->stored_floats ? w->stored + before : 0;
}

/* Visit the pairs held apart that lie in the tile: `body` sees row i and column j inside of the tile, and the pair e. */
#define EACH_APART(w, tile, body)                                                        \
  if ((w)->pointers)                                                                     \
    for (i64 i = 0; i < (tile).r; ++i) {                                                 \
      i64 last = (w)->pointers[(tile).r0 + i + 1];                                       \
      for (i64 e = (w)->pointers[(tile).r0 + i]; e < last; ++e) {                        \
        i64 j = (w)->partners[e] - (tile).c0;                                            \
        if (j >= 0 && j < (tile).c) { body; }                                            \
      }                                                                                  \
    }

static void hold_apart(const Walk *w, Tile tile, float *t) {
  EACH_APART(w, tile, t[i * tile.c + j] = APART)
}

/* Exponentials and their sums. `over_columns` has 2c floats of room; null where no sums over columns are wanted. */
static void sum_tile(const Walk *w, Tile tile, float *t, double *row_sum, double *row_same, float *over_columns, int keep) {
  const float shift = w->shift;
  const i64 c = tile.c;
  if (over_columns) memset(over_columns, 0, 2 * c * sizeof(float));
  for (i64 i = 0; i < tile.r; ++i) {
    float *restrict row = t + i * c;
    float *restrict down = over_columns;
    const float k = scale_of(w, tile.r0 + i);
    float total = 0.f, same = 0.f;
    if (w->row_label) {
      const int32_t label = w->row_label[tile.r0 + i];
      const int32_t *restrict labels = w->column_label + tile.c0;
      float *restrict down_same = over_columns + c;
#define STEP(columns_part)                              \
  for (i64 j = 0; j < c; ++j) {                         \
    float e = exp2_fast(row[j] * k - shift);            \
    float s = labels[j] == label ? e : 0.f, o = e - s;  \
    row[j] = e;                                         \
    total += o;                                         \
    same += s;                                          \
    columns_part                                        \
  }
      if (over_columns) {
#pragma omp simd reduction(+ : total, same)
        STEP(down[j] += o; down_same[j] += s;)
      } else {
#pragma omp simd reduction(+ : total, same)
        STEP()
      }
#undef STEP
      if (row_same) row_same[i] += same;
    } else if (over_columns && keep) {
#pragma omp simd reduction(+ : total)
      for (i64 j = 0; j < c; ++j) {
        float e = exp2_fast(row[j] * k - shift);
        row[j] = e;
        total += e;
        down[j] += e;
      }
    } else if (over_columns) {
#pragma omp simd reduction(+ : total)
      for (i64 j = 0; j < c; ++j) {
        float e = exp2_fast(row[j] * k - shift);
        total += e;
        down[j] += e;
      }
    } else {
#pragma omp simd reduction(+ : total)
      for (i64 j = 0; j < c; ++j) {
        float e = exp2_fast(row[j] * k - shift);
        row[j] = e;
        total += e;
      }
    }
    row_sum[i] += total;
  }
}

/* The derivative by each score: the exponential times what its row and its column weigh. `from` holds scores, or
   exponentials if `have`; it may be the tile itself. */
static void weigh_tile(const Walk *w, Tile tile, const float *from, float *t, const float *row_weight,
                       const float *row_same_weight, const float *column_weight, const float *column_same_weight,
                       int have) {
  const float shift = w->shift;
  const i64 c = tile.c;
  for (i64 i = 0; i < tile.r; ++i) {
    const float *in = from + i * c;
    float *row = t + i * c;
    const float k = scale_of(w, tile.r0 + i), a = row_weight ? row_weight[tile.r0 + i] : 0.f;
    const float *restrict b = column_weight ? column_weight + tile.c0 : 0;
    if (w->row_label) {
      const int32_t label = w->row_label[tile.r0 + i];
      const int32_t *restrict labels = w->column_label + tile.c0;
      const float a_same = row_same_weight ? row_same_weight[tile.r0 + i] : 0.f;
      const float *restrict b_same = column_same_weight ? column_same_weight + tile.c0 : 0;
      if (b && b_same) {
#pragma omp simd
        for (i64 j = 0; j < c; ++j) {
          float e = have ? in[j] : exp2_fast(in[j] * k - shift);
          row[j] = e * (labels[j] == label ? a_same + b_same[j] : a + b[j]);
        }
      } else if (b) {
#pragma omp simd
        for (i64 j = 0; j < c; ++j) {
          float e = have ? in[j] : exp2_fast(in[j] * k - shift);
          row[j] = e * (labels[j] == label ? a_same : a + b[j]);
        }
      } else {
#pragma omp simd
        for (i64 j = 0; j < c; ++j) {
          float e = have ? in[j] : exp2_fast(in[j] * k - shift);
          row[j] = e * (labels[j] == label ? a_same : a);
        }
      }
    } else if (have && b) {
#pragma omp simd
      for (i64 j = 0; j < c; ++j) row[j] = in[j] * (a + b[j]);
    } else if (have) {
#pragma omp simd
      for (i64 j = 0; j < c; ++j) row[j] = in[j] * a;
    } else if (b) {
#pragma omp simd
      for (i64 j = 0; j < c; ++j) row[j] = exp2_fast(in[j] * k - shift) * (a + b[j]);
    } else {
#pragma omp simd
      for (i64 j = 0; j < c; ++j) row[j] = exp2_fast(in[j] * k - shift) * a;
    }
  }
}

static void weigh_apart(const Walk *w, Tile tile, float *t) {
  EACH_APART(w, tile, t[i * tile.c + j] = w->pair_weight ? w->pair_weight[e] : 0.f)
}

/* ------------------------------------------------------------------ tasks */

/* The matrix is cut into blocks of whole tiles, `row_blocks` by `column_blocks`; a task is one block. Where symmetric, only
   blocks on and above the diagonal are tasks. What two tasks would both add to has a place for each of them: r x c tasks
   need c places for the derivatives by the queries and r for those by the keys, so that memory grows with the square root
   of the number of threads (6 places up to 4 threads). */
typedef struct Plan Plan;
struct Plan {
  const Walk *walk;
  i64 row_blocks, column_blocks, tasks, failed;
  void (*run)(Plan *, i64 row_block, i64 column_block, float *buffer);
  double *row_sums, *row_sames, *column_sums, *column_sames; /* blocks x n, or blocks x m */
  float **d_queries, **d_keys;                               /* places, the first is the result itself */
  float *weights;                                            /* n x m where these few are kept, one-sided */
  atomic_llong next;
};

INLINE i64 tiles_in(i64 length, i64 tile) { return (length + tile - 1) / tile; }

/* First row of a block, in whole tiles. */
INLINE i64 edge_of(i64 block, i64 blocks, i64 length, i64 tile) {
  return min64(length, tiles_in(length, tile) * block / blocks * tile);
}

static void choose(const Walk *w, i64 *row_blocks, i64 *column_blocks) {
  i64 rows = tiles_in(w->n, w->tile_rows), columns = tiles_in(w->m, w->tile_columns);
  if (w->symmetric) {
    /* 4 blocks make 6 whole and 4 half tasks */
    i64 blocks = 4;
    while (blocks * (blocks + 1) / 2 < 2 * w->threads) ++blocks;
    *row_blocks = *column_blocks = min64(blocks, rows);
    return;
  }
  i64 down = 4, across = 2;
  while (down * across < 2 * w->threads) { if (across < down) ++across; else ++down; }
  *row_blocks = min64(down, rows);
  *column_blocks = min64(across, columns);
}

static void task_of(const Plan *p, i64 number, i64 *row_block, i64 *column_block) {
  if (!p->walk->symmetric) {
    *row_block = number % p->row_blocks;
    *column_block = number / p->row_blocks;
    return;
  }
  for (i64 off = 1; off < p->row_blocks; ++off) { /* whole blocks first, the half ones on the diagonal fill the end */
    i64 count = p->row_blocks - off;
    if (number < count) {
      *row_block = number;
      *column_block = number + off;
      return;
    }
    number -= count;
  }
  *row_block = *column_block = number;
}

/* Whether gradients come with the first walk. */
INLINE int one_sided(const Walk *w) { return w->only && !w->columns && !w->symmetric; }

static i64 buffer_floats(const Walk *w) {
  i64 tile = one_sided(w) ? w->tile_rows * w->m : w->tile_rows * w->tile_columns;
  return tile + 2 * w->tile_columns + 2 * w->tile_rows + 64;
}

static void work(void *data) {
  Plan *p = data;
  const Walk *w = p->walk;
  int before = w->local_threads(1);
  void *memory = 0;
  if (posix_memalign(&memory, 64, buffer_floats(w) * sizeof(float))) {
    p->failed = 1;
  } else {
    for (i64 number; (number = atomic_fetch_add(&p->next, 1)) < p->tasks;) {
      i64 row_block, column_block;
      task_of(p, number, &row_block, &column_block);
      p->run(p, row_block, column_block, memory);
    }
    free(memory);
  }
  w->local_threads(before);
}

static void run_all(Plan *p) {
  const Walk *w = p->walk;
  atomic_init(&p->next, 0);
  i64 threads = min64(w->threads, p->tasks);
  if (threads > 1) w->parallel(work, p, (unsigned)threads, 0);
  else work(p);
}

/* ------------------------------------------------------------------ forward */

static void forward_block(Plan *p, i64 row_block, i64 column_block, float *buffer) {
  const Walk *w = p->walk;
  i64 r1 = edge_of(row_block + 1, p->row_blocks, w->n, w->tile_rows);
  i64 c1 = edge_of(column_block + 1, p->column_blocks, w->m, w->tile_columns);
  float *over_columns = buffer + w->tile_rows * w->tile_columns;
  double *sums = p->row_sums + column_block * w->n, *sames = p->row_sames ? p->row_sames + column_block * w->n : 0;
  int both = w->columns || w->symmetric;
  for (i64 r0 = edge_of(row_block, p->row_blocks, w->n, w->tile_rows); r0 < r1; r0 += w->tile_rows) {
    i64 start = edge_of(column_block, p->column_blocks, w->m, w->tile_columns);
    for (i64 c0 = w->symmetric ? max64(start, r0) : start; c0 < c1; c0 += w->tile_columns) {
      Tile tile = {r0, c0, min64(w->tile_rows, r1 - r0), min64(w->tile_columns, c1 - c0)};
      float *store = kept(w, tile), *t = store ? store : buffer;
      int mirrored = w->symmetric && r0 != c0;
      scores_of(w, w->queries + r0 * w->d, w->keys + c0 * w->d, t, (int)tile.r, (int)tile.c);
      hold_apart(w, tile, t);
      sum_tile(w, tile, t, sums + r0, sames ? sames + r0 : 0, both && (mirrored || !w->symmetric) ? over_columns : 0,
               store != 0);
      if (!both || (w->symmetric && !mirrored)) continue;
      double *down = (w->symmetric ? p->row_sums : p->column_sums) + row_block * (w->symmetric ? w->n : w->m) + c0;
      for (i64 j = 0; j < tile.c; ++j) down[j] += over_columns[j];
      double *same = w->symmetric ? p->row_sames : p->column_sames;
      if (same) {
        same += row_block * (w->symmetric ? w->n : w->m) + c0;
        for (i64 j = 0; j < tile.c; ++j) same[j] += over_columns[tile.c + j];
      }
    }
  }
}

static void add_up(double *out, const double *parts, i64 count, i64 length) {
  if (!out) return;
  for (i64 i = 0; i < length; ++i) {
    double total = 0;
    for (i64 part = 0; part < count; ++part) total += parts[part * length + i];
    out[i] = total;
  }
}

int EXPORT(forward)(const Walk *w) {
  Plan p = {.walk = w, .run = forward_block};
  choose(w, &p.row_blocks, &p.column_blocks);
  i64 rows = p.row_blocks, columns = p.column_blocks;
  p.tasks = w->symmetric ? rows * (rows + 1) / 2 : rows * columns;
  p.row_sums = calloc(columns * w->n, sizeof(double));
  p.row_sames = w->row_same ? calloc(columns * w->n, sizeof(double)) : 0;
  p.column_sums = w->columns ? calloc(rows * w->m, sizeof(double)) : 0;
  p.column_sames = w->column_same ? calloc(rows * w->m, sizeof(double)) : 0;
  p.failed = !p.row_sums || (w->row_same && !p.row_sames) || (w->columns && !p.column_sums) ||
             (w->column_same && !p.column_sames);
  if (!p.failed) {
    run_all(&p);
    add_up(w->row_sum, p.row_sums, columns, w->n);
    add_up(w->row_same, p.row_sames, columns, w->n);
    if (w->columns) add_up(w->column_sum, p.column_sums, rows, w->m);
    add_up(w->column_same, p.column_sames, rows, w->m);
  }
  free(p.row_sums);
  free(p.row_sames);
  free(p.column_sums);
  free(p.column_sames);
  return (int)p.failed;
}

/* ------------------------------------------------------------------ backward */

static void backward_block(Plan *p, i64 row_block, i64 column_block, float *buffer) {
  const Walk *w = p->walk;
  const i64 d = w->d;
  i64 first = edge_of(row_block, p->row_blocks, w->n, w->tile_rows);
  i64 r1 = edge_of(row_block + 1, p->row_blocks, w->n, w->tile_rows);
  i64 start = edge_of(column_block, p->column_blocks, w->m, w->tile_columns);
  i64 c1 = edge_of(column_block + 1, p->column_blocks, w->m, w->tile_columns);
  float *d_rows = p->d_queries[column_block], *d_columns = (w->symmetric ? p->d_queries : p->d_keys)[row_block];
  int diagonal = w->symmetric && row_block == column_block;
  if (diagonal) memset(d_rows + first * d, 0, (r1 - first) * d * sizeof(float));
  for (i64 r0 = first; r0 < r1; r0 += w->tile_rows) {
    for (i64 c0 = diagonal ? r0 : start; c0 < c1; c0 += w->tile_columns) {
      Tile tile = {r0, c0, min64(w->tile_rows, r1 - r0), min64(w->tile_columns, c1 - c0)};
      const float *a = w->queries + r0 * d, *b = w->keys + c0 * d;
      float *t = buffer, *store = w->have ? kept(w, tile) : 0;
      int r = (int)tile.r, c = (int)tile.c;
      if (!store) scores_of(w, a, b, t, r, c);
      weigh_tile(w, tile, store ? store : t, t, w->row_weight, w->row_same_weight, w->column_weight,
                 w->column_same_weight, store != 0);
      weigh_apart(w, tile, t);
      /* the first tile to reach a place in its task writes it, so places need no zeros */
      spread_rows(w, t, b, d_rows + r0 * d, r, c, c0 == start && !diagonal ? 0.f : 1.f);
      if (!(w->symmetric && r0 == c0)) spread_columns(w, t, a, d_columns + c0 * d, r, c, r0 == first && !diagonal ? 0.f : 1.f);
    }
  }
}

/* result += the other places, in order; threads own ranges */
typedef struct {
  float **places;
  i64 count, length;
  atomic_llong next;
} Sum;

enum { PIECE = 1 << 16 };

static void add_pieces(void *data) {
  Sum *s = data;
  for (i64 piece; (piece = atomic_fetch_add(&s->next, 1)) * PIECE < s->length;) {
    i64 first = piece * PIECE, last = min64(first + PIECE, s->length);
    for (i64 place = 1; place < s->count; ++place) {
      const float *restrict from = s->places[place];
      float *restrict to = s->places[0];
#pragma omp simd
      for (i64 i = first; i < last; ++i) to[i] += from[i];
    }
  }
}

static void add_places(const Walk *w, float **places, i64 count, i64 length) {
  if (count < 2) return;
  Sum s = {places, count, length, 0};
  if (w->threads > 1 && length > PIECE) w->parallel(add_pieces, &s, (unsigned)w->threads, 0);
  else add_pieces(&s);
}

/* From 32 MiB on the C library gives memory back at once, so that its pages come anew with every call: then large ones,
   since a page of 4 KiB costs more to bring than to fill. Null without memory. */
enum { LARGE = 32 << 20 };

static float *take(i64 floats) {
  void *memory = 0;
  size_t bytes = floats * sizeof(float);
  if (bytes < LARGE) return posix_memalign(&memory, 64, bytes) ? 0 : memory;
  memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: without it the pages are small */
  return memory;
}

static void give(float *memory, i64 floats) {
  size_t bytes = floats * sizeof(float);
  if (bytes < LARGE) free(memory);
  else if (memory) munmap(memory, bytes);
}

static float **make_places(float *result, i64 count, i64 length) {
  float **places = calloc(count, sizeof(float *));
  if (!places) return 0;
  places[0] = result;
  for (i64 place = 1; place < count; ++place) places[place] = take(length);
  return places;
}

static int all_there(float **places, i64 count) {
  if (!places) return 0;
  for (i64 place = 0; place < count; ++place)
    if (!places[place]) return 0;
  return 1;
}

static void free_places(float **places, i64 count, i64 length) {
  if (!places) return;
  for (i64 place = 1; place < count; ++place) give(places[place], length);
  free(places);
}

int EXPORT(backward)(const Walk *w) {
  Plan p = {.walk = w, .run = backward_block};
  choose(w, &p.row_blocks, &p.column_blocks);
  i64 rows = p.row_blocks, columns = p.column_blocks;
  p.tasks = w->symmetric ? rows * (rows + 1) / 2 : rows * columns;
  p.d_queries = make_places(w->d_queries, columns, w->n * w->d);
  p.d_keys = w->symmetric ? 0 : make_places(w->d_keys, rows, w->m * w->d);
  p.failed = !all_there(p.d_queries, columns) || (!w->symmetric && !all_there(p.d_keys, rows));
  if (!p.failed) {
    run_all(&p);
    add_places(w, p.d_queries, columns, w->n * w->d);
    if (!w->symmetric) add_places(w, p.d_keys, rows, w->m * w->d);
  }
  free_places(p.d_queries, columns, w->n * w->d);
  free_places(p.d_keys, rows, w->m * w->d);
  return (int)p.failed;
}

/* ------------------------------------------------------------------ one-sided: gradients with the first walk */

static const double LN2 = 0.6931471805599453;

INLINE double inverse_of(const Walk *w, i64 row) { return (double)scale_of(w, row) * LN2; }

INLINE double share_of(const Walk *w, i64 row) { return inverse_of(w, row) / (double)w->n; }

/* One score in double, without its temperature. */
INLINE double score_of(const Walk *w, i64 row, i64 column) {
  const float *restrict a = w->queries + row * w->d, *restrict b = w->keys + column * w->d;
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (i64 x = 0; x < w->d; ++x) total += (double)a[x] * (double)b[x];
  return total;
}

/* Sums this small are empty: what is held apart counts as 2^-126. */
INLINE int empty(double sum) { return sum < 1e-30; }

INLINE double gap_of(const Walk *w, double sum, double positive) { return log(sum) + w->shift * LN2 - positive; }

INLINE double slope_of(const Walk *w, double sum, double positive) {
  return empty(sum) ? 0.0 : 1.0 / (1.0 + exp(-gap_of(w, sum, positive)));
}

INLINE double softplus_of(const Walk *w, double sum, double positive) {
  if (empty(sum)) return 0.0;
  double gap = gap_of(w, sum, positive);
  return gap > 0 ? gap + log1p(exp(-gap)) : log1p(exp(gap));
}

/* The scores of the positives of some rows. */
static void positives(const Walk *w, i64 first, i64 last) {
  for (i64 i = first; i < last; ++i) w->positive[i] = inverse_of(w, i) * score_of(w, i, w->partners[w->only[i]]);
}

/* A strip of whole rows stays in the cache; its sums are known before its exponentials are used again. */
static void fused_block(Plan *p, i64 row_block, i64 column_block, float *buffer) {
  const Walk *w = p->walk;
  const i64 d = w->d, m = w->m;
  (void)column_block;
  i64 first = edge_of(row_block, p->row_blocks, w->n, w->tile_rows);
  i64 r1 = edge_of(row_block + 1, p->row_blocks, w->n, w->tile_rows);
  float *weight = buffer + w->tile_rows * m, *pull = weight + w->tile_rows, *d_keys = p->weights ? 0 : p->d_keys[row_block];
  positives(w, first, r1);
  for (i64 r0 = first; r0 < r1; r0 += w->tile_rows) {
    i64 r = min64(w->tile_rows, r1 - r0);
    const float *a = w->queries + r0 * d;
    float *strip = p->weights ? p->weights + r0 * m : buffer;
    for (i64 c0 = 0; c0 < m; c0 += w->tile_columns) {
      Tile tile = {r0, c0, r, min64(w->tile_columns, m - c0)};
      float *t = strip + r * c0;
      scores_of(w, a, w->keys + c0 * d, t, (int)r, (int)tile.c);
      hold_apart(w, tile, t);
      sum_tile(w, tile, t, w->row_sum + r0, 0, 0, 1);
    }
    for (i64 i = 0; i < r; ++i) {
      double sum = w->row_sum[r0 + i], slope = share_of(w, r0 + i) * slope_of(w, sum, w->positive[r0 + i]);
      weight[i] = (float)(slope / sum);
      pull[i] = (float)-slope;
    }
    for (i64 c0 = 0; c0 < m; c0 += w->tile_columns) {
      Tile tile = {r0, c0, r, min64(w->tile_columns, m - c0)};
      float *t = strip + r * c0;
      weigh_tile(w, tile, t, t, weight - r0, 0, 0, 0, 1);
      EACH_APART(w, tile, t[i * tile.c + j] = w->only[r0 + i] == e ? pull[i] : 0.f)
      spread_rows(w, t, w->keys + c0 * d, w->d_queries + r0 * d, (int)r, (int)tile.c, c0 ? 1.f : 0.f);
      if (!p->weights) spread_columns(w, t, a, d_keys + c0 * d, (int)r, (int)tile.c, r0 == first ? 0.f : 1.f);
    }
  }
}

/* The derivatives by some keys, from all rows of the weights. */
static void keys_block(Plan *p, i64 block, i64 column_block, float *buffer) {
  const Walk *w = p->walk;
  (void)column_block;
  (void)buffer;
  i64 first = edge_of(block, p->row_blocks, w->m, 16);
  int d = (int)w->d, n = (int)w->n, m = (int)w->m, c = (int)(edge_of(block + 1, p->row_blocks, w->m, 16) - first);
  float one = 1.f, zero = 0.f;
  w->sgemm("N", "T", &d, &c, &n, &one, w->queries, &d, p->weights + first, &m, &zero, w->d_keys + first * d, &d);
}

enum { FEW = 1 << 18 };

/* Of few scores all weights are kept, a MiB at most: then the keys' derivatives need no places, which cost more there. */
static int fused_few(const Walk *w) {
  Plan p = {.walk = w, .run = fused_block, .row_blocks = tiles_in(w->n, w->tile_rows), .column_blocks = 1};
  p.tasks = p.row_blocks;
  p.weights = take(w->n * w->m);
  p.failed = !p.weights;
  if (!p.failed) {
    run_all(&p);
    p.run = keys_block;
    p.tasks = p.row_blocks = min64(w->threads, tiles_in(w->m, 16));
    if (!p.failed) run_all(&p);
  }
  give(p.weights, w->n * w->m);
  return (int)p.failed;
}

static int fused(const Walk *w) {
  memset(w->row_sum, 0, w->n * sizeof(double));
  if (w->n * w->m <= FEW && w->m <= w->tile_columns) return fused_few(w);
  Plan p = {.walk = w, .run = fused_block, .column_blocks = 1};
  /* Places of gradients cost time where there are few rows: then no more than threads. More let a busy core do less. */
  i64 least = w->threads > 1 && w->n <= 512 ? 2 : 4;
  p.row_blocks = min64(max64(least, w->threads), tiles_in(w->n, w->tile_rows));
  p.tasks = p.row_blocks;
  p.d_keys = make_places(w->d_keys, p.row_blocks, w->m * w->d);
  p.failed = !all_there(p.d_keys, p.row_blocks);
  if (!p.failed) {
    run_all(&p);
    add_places(w, p.d_keys, p.row_blocks, w->m * w->d);
  }
  free_places(p.d_keys, p.row_blocks, w->m * w->d);
  return (int)p.failed;
}

/* Whether a sum may have lost terms below the smallest number. */
static int lost(const Walk *w, const double *sums, i64 count) {
  if (w->shift == 0.f) return 0;
  for (i64 i = 0; i < count; ++i)
    if (!(sums[i] > 1e-25)) return 1;
  return 0;
}

enum { NO_MEMORY = 1, LOST = 2 };

/* The loss with its gradients. LOST where the range of the scores is too wide for one shift. */
int EXPORT(whole)(Walk *w) {
  if (!one_sided(w)) positives(w, 0, w->n);
  if (one_sided(w) ? fused(w) : EXPORT(forward)(w)) return NO_MEMORY;
  if (lost(w, w->row_sum, w->n) || (w->columns && lost(w, w->column_sum, w->m))) return LOST;
  double loss = 0;
  for (i64 i = 0; i < w->n; ++i) loss += softplus_of(w, w->row_sum[i], w->positive[i]);
  if (w->columns)
    for (i64 j = 0; j < w->m; ++j) loss += softplus_of(w, w->column_sum[j], w->positive[j]);
  w->loss = loss / (double)(w->columns ? 2 * w->n : w->n);
  if (one_sided(w)) return 0;

  float *row = w->room, *slope = row + w->n, *column = slope + w->n, *pair = column + w->m;
  i64 pairs = w->pointers[w->n];
  memset(pair, 0, pairs * sizeof(float));
  for (i64 i = 0; i < w->n; ++i) {
    double part = share_of(w, i) * (w->columns ? 0.5 : 1.0), by_row = part * slope_of(w, w->row_sum[i], w->positive[i]);
    row[i] = empty(w->row_sum[i]) ? 0.f : (float)(by_row / w->row_sum[i]);
    slope[i] = (float)by_row;
    if (!w->columns) continue;
    double by_column = part * slope_of(w, w->column_sum[i], w->positive[i]);
    column[i] = empty(w->column_sum[i]) ? 0.f : (float)(by_column / w->column_sum[i]);
    slope[i] += (float)by_column;
  }
  for (i64 i = 0; i < w->n; ++i) {
    i64 partner = w->partners[w->only[i]];
    pair[w->only[i]] = w->symmetric ? -(slope[i] + slope[partner]) : -slope[i];
  }
  w->row_weight = row;
  w->column_weight = w->symmetric ? row : column;
  w->pair_weight = pair;
  w->have = w->stored != 0;
  return EXPORT(backward)(w) ? NO_MEMORY : 0;
}

/* ------------------------------------------------------------------ small things */

/* The scores of the pairs held apart, in natural units, summed in double. */
int EXPORT(pairs)(const Walk *w, double *scores) {
  for (i64 i = 0; i < w->n; ++i)
    for (i64 e = w->pointers[i]; e < w->pointers[i + 1]; ++e) scores[e] = score_of(w, i, w->partners[e]);
  return 0;
}

/* The largest length of a row, or NaN where a row is not finite. */
double EXPORT(longest)(const float *rows, int64_t n, int64_t d) {
  double longest = 0;
  for (i64 i = 0; i < n; ++i) {
    const float *restrict row = rows + i * d;
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (i64 x = 0; x < d; ++x) total += row[x] * row[x];
    if (!(total <= 3e38f)) return NAN;
    if (total > longest) longest = total;
  }
  return sqrt(longest);
}
