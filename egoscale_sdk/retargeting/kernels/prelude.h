// What programs of one frame are written with: a variable holds that number of LANES frames, side by side.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <utility>
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
typedef int32_t i32 __attribute__((vector_size(4 * LANES)));  // a mask: 0 or -1
typedef float f32_half __attribute__((vector_size(2 * LANES)));
typedef int32_t i32_half __attribute__((vector_size(2 * LANES)));
typedef double f64_half __attribute__((vector_size(4 * LANES)));  // as long as a register
typedef int64_t i64_half __attribute__((vector_size(4 * LANES)));
struct f64 {
  f64_half low, high;
};
struct i64 {
  i64_half low, high;
};

template <class V>
struct Element;
template <> struct Element<f32> { typedef float type; };
template <> struct Element<i32> { typedef int32_t type; };
template <> struct Element<f64> { typedef double type; };

template <class V, class T>
INLINE V all(T x) {
  typename Element<V>::type v[LANES];
  for (int i = 0; i < LANES; i++) v[i] = x;
  V made;
  memcpy(&made, v, sizeof made);
  return made;
}
#define ON_HALVES(operation)                                                                           \
  INLINE f64 operator operation(f64 a, f64 b) { return {a.low operation b.low, a.high operation b.high}; } \
  INLINE f64 operator operation(double a, f64 b) { return {a operation b.low, a operation b.high}; }
ON_HALVES(+)
ON_HALVES(-)
ON_HALVES(*)
ON_HALVES(/)
#define COMPARED(operation) \
  INLINE i64 operator operation(f64 a, f64 b) { return {a.low operation b.low, a.high operation b.high}; }
COMPARED(<)
COMPARED(>)
COMPARED(<=)
COMPARED(==)
INLINE f64 operator-(f64 a) { return {-a.low, -a.high}; }

// ---- memory

// Element e of LANES frames from frame n on; frames are `step` apart.
template <class V, class T>
INLINE V load(const void* from, int64_t row, int64_t e, int64_t n) {  // rows of elements, frames in a row
  V v;
  memcpy(&v, (const T*)from + e * row + n, sizeof v);
  return v;
}
template <class V, class T>
INLINE V shared(const void* from, int64_t e) {  // the same for all frames
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

template <class Whole, class Half>
INLINE Whole joined(Half low, Half high) {
  Whole v;
  memcpy(&v, &low, sizeof low);
  memcpy((char*)&v + sizeof low, &high, sizeof high);
  return v;
}
template <class Half, class Whole>
INLINE Half half(Whole v, int which) {
  Half h;
  memcpy(&h, (char*)&v + which * sizeof h, sizeof h);
  return h;
}
INLINE f32 to_f32(f64 a) {
  return joined<f32>(__builtin_convertvector(a.low, f32_half), __builtin_convertvector(a.high, f32_half));
}
INLINE f32 to_f32(i32 a) { return a ? all<f32>(1.f) : all<f32>(0.f); }
INLINE f64 to_f64(f32 a) {
  return {__builtin_convertvector(half<f32_half>(a, 0), f64_half), __builtin_convertvector(half<f32_half>(a, 1), f64_half)};
}
INLINE f64 to_f64(i32 a) { return to_f64(to_f32(a)); }
INLINE i32 mask(i32 a) { return a; }
INLINE i32 mask(i64 a) {
  return joined<i32>(__builtin_convertvector(a.low, i32_half), __builtin_convertvector(a.high, i32_half));
}
INLINE i64 wide(i32 a) {
  return {__builtin_convertvector(half<i32_half>(a, 0), i64_half), __builtin_convertvector(half<i32_half>(a, 1), i64_half)};
}

INLINE f32 where(i32 c, f32 a, f32 b) { return c ? a : b; }
INLINE f64 where(i64 c, f64 a, f64 b) { return {c.low ? a.low : b.low, c.high ? a.high : b.high}; }
INLINE f64 where(i32 c, f64 a, f64 b) { return where(wide(c), a, b); }
INLINE i32 where(i32 c, i32 a, i32 b) { return (c & a) | (~c & b); }
template <class V>
INLINE V least(V a, V b) { return where(b < a, b, a); }  // the first stays where it is no number
template <class V>
INLINE V most(V a, V b) { return where(b > a, b, a); }
INLINE f32 magnitude(f32 a) { return (f32)((i32)a & 0x7fffffff); }
INLINE f64 magnitude(f64 a) { return where(a < all<f64>(0.0), -a, a); }
// A function of one number, of all; some become one instruction.
#define EACH(name, function)                             \
  template <class V>                                     \
  INLINE V name(V a) {                                   \
    typename Element<V>::type v[LANES];                  \
    memcpy(v, &a, sizeof a);                             \
    for (int i = 0; i < LANES; i++) v[i] = function(v[i]); \
    memcpy(&a, v, sizeof a);                             \
    return a;                                            \
  }
EACH(root, std::sqrt)
EACH(logarithm, std::log)
EACH(exponential, std::exp)

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
// ---- frames among threads

struct Operand {
  void* data;
  int64_t row;     // elements from one row to the next
  int64_t size;    // elements per frame
  int64_t bytes;   // of an element
  int64_t layout;  // ROWS: frames in a row; FRAMES: a row per frame; SHARED: the same for all frames
};
enum { ROWS, FRAMES, SHARED };
typedef void Block(const Operand* operands, int64_t frame);

// A copy of LANES frames, or fewer and zeros, of some operands: rows of LANES.
struct Staged {
  std::vector<std::vector<char>> copies;
  std::vector<Operand> operands;

  Staged(const Operand* given, int count) : copies(count), operands(given, given + count) {}
  void add(int o) {
    copies[o].assign(operands[o].size * LANES * operands[o].bytes, 0);
    operands[o].data = copies[o].data();
    operands[o].row = LANES;
  }
};
template <class T>
static void turn(const T* from, T* to, int64_t row, int64_t size, int64_t frames) {
  for (int64_t i = 0; i < frames; i++)
    for (int64_t e = 0; e < size; e++) to[e * LANES + i] = from[i * row + e];
}
static void turn(const Operand& from, void* to, int64_t first, int64_t frames) {
  const char* p = (const char*)from.data + first * from.row * from.bytes;
  if (from.bytes == 8) turn((const double*)p, (double*)to, from.row, from.size, frames);
  if (from.bytes == 4) turn((const float*)p, (float*)to, from.row, from.size, frames);
  if (from.bytes == 1) turn((const char*)p, (char*)to, from.row, from.size, frames);
}

// Frames begin .. end, whose number is a multiple of LANES.
static void run_whole(Block* block, const Operand* given, int inputs, int count, int64_t begin, int64_t end) {
  Staged staged(given, count);
  for (int o = 0; o < inputs; o++)
    if (given[o].layout == FRAMES) staged.add(o);
  for (int64_t n = begin; n < end; n += LANES) {
    for (int o = 0; o < inputs; o++)
      if (given[o].layout == FRAMES) turn(given[o], staged.operands[o].data, n, LANES);
    block(staged.operands.data(), n);
  }
}

// Fewer frames than LANES: in a full block, so that these, too, get the bits that they get in any batch.
static void run_rest(Block* block, const Operand* given, int inputs, int count, int64_t first, int64_t frames) {
  Staged staged(given, count);
  auto move = [&](int o, bool out) {
    int64_t bytes = given[o].bytes;
    for (int64_t e = 0; e < given[o].size; e++) {
      char* far = (char*)given[o].data + (e * given[o].row + first) * bytes;
      char* near = (char*)staged.operands[o].data + e * LANES * bytes;
      memcpy(out ? far : near, out ? near : far, frames * bytes);
    }
  };
  for (int o = 0; o < count; o++) {
    if (given[o].layout != SHARED) staged.add(o);
    if (o < inputs && given[o].layout == ROWS) move(o, false);
    if (o < inputs && given[o].layout == FRAMES) turn(given[o], staged.operands[o].data, first, frames);
  }
  block(staged.operands.data(), 0);
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
    run_whole(block, operands, inputs, count, begin * LANES, end * LANES);
  });
  int64_t done = frames / LANES * LANES;
  if (done < frames) run_rest(block, operands, inputs, count, done, frames - done);
}
