// What goes through time: every lane is a window (or a joint) of its own, and each takes the same operations in the same
// order wherever it stands, fused ones written out, so that no neighbour changes a bit. See banded.py for the equations.

// A column is LANES windows (f32, f64), or one (float, double).
template <class D>
using Single = std::conditional_t<std::is_same_v<D, double>, float, f32>;
INLINE float to_f32(double a) { return (float)a; }
INLINE double to_f64(float a) { return (double)a; }

template <class V, class T>
INLINE V at(const T* p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T>
INLINE void put(T* p, V v) {
  memcpy(p, &v, sizeof v);
}
INLINE double less_product(double c, double a, double b) { return __builtin_fma(-a, b, c); }  // c - a b, rounded once
INLINE f64_half less_product(f64_half c, f64_half a, f64_half b) {
  for (int i = 0; i < LANES / 2; i++) c[i] = __builtin_fma(-a[i], b[i], c[i]);
  return c;
}
INLINE f64 less_product(f64 c, f64 a, f64 b) {
  return {less_product(c.low, a.low, b.low), less_product(c.high, a.high, b.high)};
}

struct Factors {  // of L D L^T, (groups, T, W) each
  double *inverse, *one, *two;
};

// weight and stiffness (groups, T, W), T at least 4.
template <class D>
static void factorise(const float* weight, const float* stiffness, Factors f, int64_t T, int64_t W) {
  using S = Single<D>;
  D last = {}, last_inverse = {}, last_one = {}, before = {}, before_inverse = {};
  auto s = [&](int64_t t) {
    return t > 0 && t < T - 1 ? to_f64(at<S>(stiffness + t * W)) : D{};
  };
  D s_before = s(-1), s_now = s(0), s_after = s(1);
  for (int64_t t = 0; t < T; t++) {
    D two = s_before * before_inverse;
    D one = less_product(-2.0 * (s_before + s_now), two * last_one, before) * last_inverse;
    D pivot = to_f64(at<S>(weight + t * W)) + s_before + 4.0 * s_now + s_after;
    pivot = less_product(less_product(pivot, two * two, before), one * one, last);
    before = last, last = pivot, before_inverse = last_inverse, last_inverse = 1.0 / pivot, last_one = one;
    put(f.inverse + t * W, last_inverse);
    put(f.one + t * W, one);
    put(f.two + t * W, two);
    s_before = s_now, s_now = s_after, s_after = s(t + 2);
  }
}

// One round of the smooth twin z of u: z = S(u + dual), dual += u - z; `out` gets z - dual, or z if `last`. All (T, W).
template <class D>
static void smooth(const float* u, float* dual, float* out, const float* weight, Factors f, D* kept, int64_t T,
                   int64_t W, bool first, bool final) {
  using S = Single<D>;
  D before = {}, last = {};
  for (int64_t t = 0; t < T; t++) {
    S x = at<S>(u + t * W);
    if (!first) x = x + at<S>(dual + t * W);
    D value = to_f64(at<S>(weight + t * W)) * to_f64(x);
    value = less_product(value, at<D>(f.one + t * W), last);
    value = less_product(value, at<D>(f.two + t * W), before);
    before = last, last = value;
    kept[t] = value * at<D>(f.inverse + t * W);
  }
  D after = {}, one = {}, two = {}, two_next = {};  // of the frames t + 1 and t + 2
  last = D{};
  for (int64_t t = T - 1; t >= 0; t--) {
    D value = less_product(less_product(kept[t], one, last), two, after);
    after = last, last = value;
    one = at<D>(f.one + t * W), two = two_next, two_next = at<D>(f.two + t * W);
    S z = to_f32(value);
    if (!first) {
      S d = at<S>(dual + t * W) + at<S>(u + t * W) - z;
      put(dual + t * W, d);
      if (!final) z = z - d;
    }
    put(out + t * W, z);
  }
}

// Call work(first row, column, windows) for all columns of `groups` rows of W windows, those that fill no vector singly.
template <class Work>
static void for_columns(int64_t groups, int64_t W, int threads, Work work) {
  int64_t whole = W / LANES, columns = whole + W % LANES;
  among_threads(groups * columns, threads, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      int64_t c = i % columns;
      work(i / columns, c < whole ? c * LANES : whole * LANES + c - whole, c < whole);
    }
  });
}

extern "C" void whittaker_factors(const float* weight, const float* stiffness, double* factors, int64_t groups,
                                  int64_t T, int64_t W, int64_t threads) {
  int64_t size = groups * T * W;
  for_columns(groups, W, threads, [=](int64_t group, int64_t w, bool full) {
    int64_t first = group * T * W + w;
    Factors f = {factors + first, factors + size + first, factors + 2 * size + first};
    full ? factorise<f64>(weight + first, stiffness + first, f, T, W)
          : factorise<double>(weight + first, stiffness + first, f, T, W);
  });
}

extern "C" void whittaker_round(const float* u, float* dual, float* out, const float* weight, double* factors,
                                int64_t rows, int64_t groups, int64_t T, int64_t W, int64_t first, int64_t last,
                                int64_t threads) {
  int64_t size = groups * T * W;
  for_columns(rows * groups, W, threads, [=](int64_t row, int64_t w, bool full) {
    thread_local std::vector<f64> kept;
    kept.resize(T);
    int64_t u0 = row * T * W + w, own = row % groups * T * W + w;
    Factors f = {factors + own, factors + size + own, factors + 2 * size + own};
    full ? smooth<f64>(u + u0, dual + u0, out + u0, weight + own, f, kept.data(), T, W, first, last)
          : smooth<double>(u + u0, dual + u0, out + u0, weight + own, f, (double*)kept.data(), T, W, first, last);
  });
}

// Medians (rows, motions), weighted, of `values` (rows, frames); the frames of motion m end before ends[m]. NaN where
// nothing weighs anything. The sums are exact, as weights are float32 and few: their order changes nothing.
extern "C" void medians(const double* values, const float* weights, const int64_t* ends, double* out, int64_t rows,
                        int64_t motions, int64_t frames, int64_t threads) {
  among_threads(rows * motions, threads, [=](int64_t begin, int64_t end) {
    std::vector<std::pair<double, double>> all;
    for (int64_t i = begin; i < end; i++) {
      int64_t m = i % motions, row = i / motions * frames;
      double total = 0;
      all.clear();
      for (int64_t t = m ? ends[m - 1] : 0; t < ends[m]; t++) {
        all.push_back({values[row + t], weights[row + t]});
        total += weights[row + t];
      }
      auto low = all.begin(), high = all.end();
      double before = 0;
      while (high - low > 1) {  // the first value up to which half of the weight lies is among low .. high
        auto middle = low + (high - low) / 2;
        std::nth_element(low, middle, high);
        double here = before;
        for (auto a = low; a < middle; a++) here += a->second;
        if (here >= 0.5 * total) {
          high = middle;
        } else {
          before = here, low = middle;
        }
      }
      out[i] = total > 0 ? low->first : NAN;
    }
  });
}

// See smoothing.py.
static void bridge(float* q, const uint8_t* known, int64_t T, int64_t J) {
  int64_t last = -1;
  for (int64_t t = 0; t <= T; t++) {
    if (t < T && !known[t]) continue;
    for (int64_t s = last + 1; s < t && (last >= 0 || t < T); s++) {
      const float *from = q + (last < 0 ? t : last) * J, *to = q + (t < T ? t : last) * J;
      float share = (float)(s - last) / (float)(t - last);
      for (int64_t j = 0; j < J; j++) q[s * J + j] = (1.f - share) * from[j] + share * to[j];
    }
    last = t;
  }
}

static void limit(float* q, int64_t T, int64_t J, double step, std::vector<double>& low, std::vector<double>& high) {
  bool fast = false;
  for (int64_t t = 1; t < T; t++) fast |= std::fabs(q[t * J] - q[(t - 1) * J]) > step;
  if (!fast) return;
  low.resize(T), high.resize(T);
  for (int64_t t = 0; t < T; t++) {
    double now = q[t * J];
    low[t] = t ? std::min(now, low[t - 1] + step) : now;
    high[t] = t ? std::max(now, high[t - 1] - step) : now;
  }
  double below = INFINITY, above = -INFINITY;
  for (int64_t t = T - 1; t >= 0; t--) {
    below = std::min((double)q[t * J], below + step), above = std::max((double)q[t * J], above - step);
    q[t * J] = (float)((std::min(low[t], below) + std::max(high[t], above)) / 2);
  }
}

// Joints (frames, J) of motions: frames that are not known bridged, velocities and positions within their limits.
extern "C" void finish(float* joints, const uint8_t* known, const int64_t* ends, const double* steps, const float* lower,
                       const float* upper, int64_t motions, int64_t J, int64_t threads) {
  among_threads(motions, threads, [=](int64_t begin, int64_t end) {
    std::vector<double> low, high;
    for (int64_t m = begin; m < end; m++) {
      int64_t first = m ? ends[m - 1] : 0, T = ends[m] - first;
      float* q = joints + first * J;
      bridge(q, known + first, T, J);
      for (int64_t j = 0; j < J; j++) limit(q + j, T, J, steps[j], low, high);
      for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < J; j++) q[t * J + j] = std::min(std::max(q[t * J + j], lower[j]), upper[j]);
    }
  });
}
