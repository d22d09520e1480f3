// What programs of one frame are written with: a variable holds that number of LANES frames, side by side.
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float f32 __attribute__((vector_size(4 * LANES)));
typedef double f64 __attribute__((vector_size(8 * LANES)));
typedef int32_t i32 __attribute__((vector_size(4 * LANES)));  // a mask: 0 or -1
typedef int64_t i64 __attribute__((vector_size(8 * LANES)));

template <class V, class T>
INLINE V all(T x) {
  V v;
  for (int i = 0; i < LANES; i++) v[i] = x;
  return v;
}

// ---- memory

// Element e of LANES frames from frame n on; frames are `step` apart.
template <class V, class T>
INLINE V load(const void* from, int64_t row, int64_t e, int64_t n) {  // rows of elements, frames in a row
  V v;
  memcpy(&v, (const T*)from + e * row + n, sizeof v);
  return v;
}
template <class V, class T>
INLINE V gather(const void* from, int64_t row, int64_t e, int64_t n) {  // rows of frames
  V v;
  const T* p = (const T*)from + n * row + e;
  for (int i = 0; i < LANES; i++) v[i] = p[i * row];
  return v;
}
template <class V, class T>
INLINE V shared(const void* from, int64_t, int64_t e, int64_t) {  // the same for all frames
  return all<V>(((const T*)from)[e]);
}
template <class V, class T>
INLINE void store(void* to, int64_t row, int64_t e, int64_t n, V v) {
  memcpy((T*)to + e * row + n, &v, sizeof v);
}
INLINE void store_mask(void* to, int64_t row, int64_t e, int64_t n, i32 v) {
  uint8_t* p = (uint8_t*)to + e * row + n;
  for (int i = 0; i < LANES; i++) p[i] = v[i] & 1;
}

// ---- arithmetic

INLINE f32 to_f32(f64 a) { return __builtin_convertvector(a, f32); }
INLINE f32 to_f32(i32 a) { return a ? all<f32>(1.f) : all<f32>(0.f); }
INLINE f64 to_f64(f32 a) { return __builtin_convertvector(a, f64); }
INLINE f64 to_f64(i32 a) { return __builtin_convertvector(-a, f64); }
INLINE i32 mask(i32 a) { return a; }
INLINE i32 mask(i64 a) { return __builtin_convertvector(a, i32); }
INLINE i64 wide(i32 a) { return __builtin_convertvector(a, i64); }

INLINE f32 where(i32 c, f32 a, f32 b) { return c ? a : b; }
INLINE f64 where(i32 c, f64 a, f64 b) { return wide(c) ? a : b; }
INLINE i32 where(i32 c, i32 a, i32 b) { return (c & a) | (~c & b); }
template <class V>
INLINE V least(V a, V b) { return b < a ? b : a; }  // the first stays where it is no number
template <class V>
INLINE V most(V a, V b) { return b > a ? b : a; }
INLINE f32 magnitude(f32 a) { return (f32)((i32)a & 0x7fffffff); }
INLINE f64 magnitude(f64 a) { return (f64)((i64)a & 0x7fffffffffffffff); }
INLINE f32 root(f32 a) {
  for (int i = 0; i < LANES; i++) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
INLINE f64 root(f64 a) {
  for (int i = 0; i < LANES; i++) a[i] = __builtin_sqrt(a[i]);
  return a;
}

// Sine and cosine to float32's rounding (Cephes): the angle less whole quarter turns, in three parts of pi/2.
INLINE i32 quarters(f32 x, f32* rest) {
  i32 k = __builtin_convertvector(x * 0.63661977f + where(x < 0, all<f32>(-.5f), all<f32>(.5f)), i32);
  f32 n = __builtin_convertvector(k, f32);
  *rest = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.549790126404332e-8f;
  return k;
}
INLINE f32 of_quarter(i32 k, f32 r) {
  f32 s = r * r;
  f32 sine = ((-1.9515295891e-4f * s + 8.3321608736e-3f) * s - 1.6666654611e-1f) * s * r + r;
  f32 cosine = ((2.443315711809948e-5f * s - 1.388731625493765e-3f) * s + 4.166664568298827e-2f) * s * s - .5f * s + 1.f;
  f32 found = (k & 1) == 0 ? sine : cosine;
  return (k & 2) == 0 ? found : -found;
}
INLINE f32 sine(f32 x) {
  f32 r;
  i32 k = quarters(x, &r);
  return of_quarter(k, r);
}
INLINE f32 cosine(f32 x) {
  f32 r;
  i32 k = quarters(x, &r);
  return of_quarter(k + 1, r);
}
#define EACH(name, function)                                  \
  template <class V>                                          \
  INLINE V name(V a) {                                        \
    for (int i = 0; i < LANES; i++) a[i] = function(a[i]);    \
    return a;                                                 \
  }
EACH(logarithm, __builtin_log)
EACH(exponential, __builtin_exp)

// ---- frames among threads

struct Operand {
  void* data;
  int64_t row;     // elements from one row to the next
  int64_t size;    // elements per frame
  int64_t bytes;   // of an element
  int64_t layout;  // 0: frames in a row; 1: a row per frame; 2: the same for all frames
};
typedef void Block(const Operand* operands, int64_t frame);

// Fewer frames than lanes: a copy in full blocks, so that these frames, too, get the bits that they get in any batch.
static void run_rest(Block* block, const Operand* given, int inputs, int count, int64_t first, int64_t frames) {
  std::vector<std::vector<char>> copies(count);
  std::vector<Operand> padded(given, given + count);
  for (int o = 0; o < count; o++) {
    Operand& own = padded[o];
    if (own.layout == 2) continue;
    copies[o].assign(own.size * LANES * own.bytes, 0);
    own.data = copies[o].data();
    own.row = own.layout ? own.size : LANES;
  }
  auto move = [&](int o, bool out) {
    const Operand &far = given[o], &near = padded[o];
    int64_t rows = far.layout ? frames : far.size, length = (far.layout ? far.size : frames) * far.bytes;
    for (int64_t r = 0; r < rows; r++) {
      char* a = (char*)far.data + (far.layout ? (first + r) * far.row : r * far.row + first) * far.bytes;
      char* b = (char*)near.data + r * near.row * near.bytes;
      out ? memcpy(a, b, length) : memcpy(b, a, length);
    }
  };
  for (int o = 0; o < inputs; o++)
    if (given[o].layout != 2) move(o, false);
  block(padded.data(), 0);
  for (int o = inputs; o < count; o++) move(o, true);
}

template <class Work>
static void among_threads(int64_t pieces, int threads, Work work) {
  if (threads > pieces) threads = pieces;
  std::vector<std::thread> others;
  for (int t = 1; t < threads; t++) others.emplace_back([=] { work(pieces * t / threads, pieces * (t + 1) / threads); });
  if (pieces) work(0, threads > 1 ? pieces / threads : pieces);
  for (auto& other : others) other.join();
}

static void run_blocks(Block* block, const Operand* operands, int inputs, int count, int64_t frames, int threads) {
  among_threads(frames / LANES, threads, [=](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) block(operands, b * LANES);
  });
  int64_t done = frames / LANES * LANES;
  if (done < frames) run_rest(block, operands, inputs, count, done, frames - done);
}
