#include "machine/kernel_calls.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace cllm {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::int64_t kNear = 384, kMiddle = 8 << 10, kFar = 96 << 10;  // KiB: L2, L3, memory
constexpr std::int64_t kLongest = 1024, kWidest = 128;                   // of attention
constexpr std::int64_t kMostColumns = 4096, kMostTile = 16 * 768;

double product_work(const Sizes& s) { return static_cast<double>(s[0] * s[1] * s[2]); }
double attention_work(const Sizes& s) { return static_cast<double>(s[0] * s[0] * s[1]); }
double row_work(const Sizes& s) { return static_cast<double>(s[0] * s[1]); }
double flat_work(const Sizes& s) { return static_cast<double>(s[0]); }

// Products and attention take a few ms at most. Beyond the ends of an axis the rate stays constant.
using Axes = std::vector<Sizes>;
Axes product_axes() { return {{16, 128, 512}, {32, 128}, {64, 256, 1024}, {kMiddle / 4, kFar}}; }
Axes attention_axes() { return {{16, 64, 256, kLongest}, {16, 32, 64, kWidest}}; }
Axes row_axes() { return {{16}, {64, 768}, {kNear, kMiddle, kFar}}; }
Axes logit_axes() { return {{64}, {64, 512}, {kNear, kMiddle, kFar}}; }
Axes add_axes() { return {{32, 768}, {kNear, kMiddle, kFar}}; }
Axes flat_axes() { return {{16384}, {kNear, kMiddle, kFar}}; }

/// Walks over places in a range of elements, one after another and round again.
template <class T>
class Wanderer {
 public:
  Wanderer(T* base, std::size_t range, std::size_t step)
      : base_(base), places_(std::max<std::size_t>(1, range / padded(step))), step_(padded(step)) {}
  T* next() noexcept {
    T* const here = base_ + at_ * step_;
    if (++at_ == places_) at_ = 0;
    return here;
  }

 private:
  static std::size_t padded(std::size_t elements) { return (elements + 31) / 32 * 32; }
  T* base_;
  std::size_t places_, step_, at_ = 0;
};

/// Returns a float of about this value whose halves are the same Bf16.
float twice(float x) {
  const std::uint32_t half = to_bf16(x).bits, bits = half << 16 | half;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

std::size_t count(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Says where a product of `sizes` finds its B and leaves its C.
template <class B>
struct ProductPlaces {
  Wanderer<B> from;
  Wanderer<float> to;
};

// The tile keeps its rows of A, at the start of the arena, for a row of tiles; B and C are new
// every time, as in a step.
template <class B>
ProductPlaces<B> product_places(Span<float> arena, const Sizes& sizes, std::int64_t elements_of_b) {
  const std::size_t keep = count(sizes[0] * sizes[2]);
  const std::size_t b = count(elements_of_b), c = count(sizes[0] * sizes[1]);
  if (keep + b + 2 * c > arena.size()) throw std::invalid_argument("a product does not fit");
  const std::size_t most = arena.size() - keep - c;
  const std::size_t range = std::max(std::min(most, count(sizes[3]) * 256), b + c);
  const std::size_t for_b = range * b / (b + c) / 32 * 32;  // in proportion; keeps C aligned
  float* const base = arena.data() + keep;
  return {{reinterpret_cast<B*>(base), for_b * sizeof(float) / sizeof(B), b},
          {base + for_b, range - for_b, c}};
}

}  // namespace

const std::vector<KernelGrid>& kernel_grids(Precision precision) {
  static const std::vector<KernelGrid> floats = {
      {"gemm_nn", product_axes(), product_work},
      {"gemm_nt", product_axes(), product_work},
      {"gemm_tn", product_axes(), product_work},
      {"gemm_packed", product_axes(), product_work},
      {"attention_forward", attention_axes(), attention_work},
      {"attention_backward", attention_axes(), attention_work},
      {"norm_forward", row_axes(), row_work},
      {"norm_backward", row_axes(), row_work},
      {"bias_add", row_axes(), row_work},
      {"bias_gelu", row_axes(), row_work},
      {"gelu_backward", row_axes(), row_work},
      {"column_sums", row_axes(), row_work},
      {"softmax_gradient", logit_axes(), row_work},
      {"bias_residual", row_axes(), row_work},
      {"softmax_stats", logit_axes(), row_work},
      {"add", add_axes(), flat_work},
      {"sum_2", flat_axes(), flat_work},
      {"sum_3", flat_axes(), flat_work},
      {"sum_squares", flat_axes(), flat_work},
      {"adamw", flat_axes(), flat_work}};
  static const std::vector<KernelGrid> halves = {
      {"bf16_gemm_nn", product_axes(), product_work},
      {"bf16_gemm_nt", product_axes(), product_work},
      {"bf16_gemm_tn", product_axes(), product_work},
      {"bf16_gemm_packed", product_axes(), product_work},
      {"bf16_attention_forward", attention_axes(), attention_work},
      {"bf16_attention_backward", attention_axes(), attention_work},
      {"bf16_norm_forward", row_axes(), row_work},
      {"bf16_norm_backward", row_axes(), row_work},
      {"bf16_bias_add", row_axes(), row_work},
      {"bf16_bias_gelu", row_axes(), row_work},
      {"bf16_gelu_backward", row_axes(), row_work},
      {"bf16_column_sums", row_axes(), row_work},
      {"bf16_softmax_gradient", logit_axes(), row_work}};
  return precision == Precision::kBf16 ? halves : floats;
}

const KernelGrid& kernel_grid(const std::string& name) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const KernelGrid& grid : kernel_grids(precision)) {
      if (name == grid.name) return grid;
    }
  }
  throw std::invalid_argument("no kernel is called " + name);
}

KernelCaller::KernelCaller(GemmBackend backend, const KernelTable& kernels, std::int64_t most_kib)
    : k_(kernels),
      gemm_(make_gemm(backend, kernels)),
      // There is room at least for the operands of the largest product and of the longest
      // attention.
      floats_(count(std::max<std::int64_t>(most_kib, 40 << 10)) * 256),
      arena_(floats_),
      small_(count(6 * kMostColumns + kMostTile)),
      attention_(std::max(kernels.attention_scratch_floats(kLongest, kWidest),
                          kernels.bf16.attention_scratch_floats(kLongest, kWidest))),
      targets_(count(kMostColumns), 0) {
  for (float& x : small_.span()) x = 1.0f;
  fill(floats_);
}

// Kernels write over their operands, and numbers too small to be normal would slow later calls
// down. Both halves of each float are the same Bf16.
void KernelCaller::fill(std::size_t floats) {
  constexpr std::size_t kPattern = 1 << 14;
  for (std::size_t i = 0; i < std::min(floats, kPattern); ++i) {
    arena_[i] = twice(static_cast<float>(i * 2654435761u % 1009) * 1e-3f - 0.5f);
  }
  for (std::size_t at = kPattern; at < floats; at += kPattern) {
    std::memcpy(arena_.data() + at, arena_.data(), std::min(kPattern, floats - at) * sizeof(float));
  }
}

std::function<void()> KernelCaller::call(const KernelGrid& grid, const Sizes& sizes) {
  fill(grid.work == row_work || grid.work == flat_work
           ? std::min(floats_, count(sizes.back()) * 256)
           : floats_);
  std::string name = grid.name;
  if (name.rfind("bf16_", 0) != 0) return call_of<float>(grid, name, sizes);
  return call_of<Bf16>(grid, name.substr(5), sizes);
}

template <class T>
std::function<void()> KernelCaller::call_of(const KernelGrid& grid, const std::string& name,
                                            const Sizes& sizes) {
  if (name == "gemm_nn") return product<T, float>(GemmForm::kNN, sizes);
  if (name == "gemm_nt") return product<T, float>(GemmForm::kNT, sizes);
  if (name == "gemm_tn") return product<T, T>(GemmForm::kTN, sizes);
  if (name == "gemm_packed") return packed_product<T>(sizes);
  if (grid.work == attention_work) return attention<T>(name == "attention_backward", sizes);
  return grid.work == flat_work ? flat(name, sizes) : rows<T>(name, sizes);
}

std::function<void()> KernelCaller::copy(std::size_t bytes) {
  const std::size_t step = bytes / sizeof(float), half = floats_ / 2;
  Wanderer<float> from(arena_.data(), half, step), to(arena_.data() + half, half, step);
  return [=]() mutable { std::memcpy(to.next(), from.next(), bytes); };
}

template <class A, class B>
std::function<void()> KernelCaller::product(GemmForm form, const Sizes& sizes) {
  const std::int64_t m = sizes[0], n = sizes[1], k = sizes[2];
  ProductPlaces<B> at = product_places<B>(arena_.span(), sizes, n * k);
  GemmArgsOf<A, B> args{};
  args.form = form;
  args.m = m;
  args.n = n;
  args.k = k;
  args.a = reinterpret_cast<const A*>(arena_.data());
  args.lda = form == GemmForm::kTN ? m : k;
  args.ldb = form == GemmForm::kNT ? k : n;
  args.ldc = n;
  args.accumulate = form == GemmForm::kTN;
  return [=, gemm = gemm_.get()]() mutable {
    args.b = at.from.next();
    args.c = at.to.next();
    gemm->run(args);
  };
}

template <class T>
std::function<void()> KernelCaller::packed_product(const Sizes& sizes) {
  const std::int64_t m = sizes[0], n = sizes[1], k = sizes[2];
  ProductPlaces<T> at = product_places<T>(arena_.span(), sizes, packed_size<T>(k, n));
  PackedGemmArgs<T> args{m,       n, k,    reinterpret_cast<const T*>(arena_.data()), k, nullptr,
                         nullptr, n, false};
  return [=, run = product_kernels<T>(k_).gemm_packed]() mutable {
    args.panels = at.from.next();
    args.c = at.to.next();
    run(args);
  };
}

// This is a head inside rows of four heads, with q, k and v side by side, as in a step.
template <class T>
std::function<void()> KernelCaller::attention(bool backward, const Sizes& sizes) {
  const std::int64_t L = sizes[0], D = sizes[1], heads = 4;
  AttentionArgs<T> args{};
  args.length = L;
  args.head_width = D;
  args.ld_qkv = args.ld_dqkv = 3 * heads * D;
  args.ld_out = heads * D;
  args.row_end = L;
  args.scratch = attention_.data();
  const std::size_t whole = count(L * heads * D);
  T* const qkv = reinterpret_cast<T*>(arena_.data());
  T* const out = qkv + 3 * whole;
  T* const dout = out + whole;
  T* const dqkv = dout + whole;
  float* const lse = arena_.data() + 8 * whole;
  if (8 * whole + count(heads * L) > floats_) {
    throw std::invalid_argument("attention's operands do not fit");
  }
  return [=, &k = activation_kernels<T>(k_), head = std::int64_t{0}]() mutable {
    const std::int64_t at = head * D;
    args.q = qkv + at;
    args.k = args.q + heads * D;
    args.v = args.k + heads * D;
    args.out = out + at;
    args.lse = lse + head * L;
    head = (head + 1) % heads;
    if (!backward) return k.attention_forward(args);
    args.dout = dout + at;
    args.dq = dqkv + at;
    args.dk = args.dq + heads * D;
    args.dv = args.dk + heads * D;
    k.attention_backward(args);
  };
}

// A product's result that is stored as Bf16 lies in scratch; the other operands wander.
template <class T>
std::function<void()> KernelCaller::rows(const std::string& name, const Sizes& sizes) {
  constexpr bool kFloat = std::is_same_v<T, float>;
  const std::int64_t R = sizes[0], N = sizes[1];
  const std::size_t streams = name == "norm_backward" ? 6 : 2;
  const std::size_t each = std::min(floats_, count(sizes[2]) * 256) / streams;
  std::vector<Wanderer<float>> at;
  std::vector<Wanderer<T>> to;
  for (std::size_t s = 0; s < streams; ++s) {
    float* const base = arena_.data() + s * each;
    at.emplace_back(base, each, count(R * N));
    to.emplace_back(reinterpret_cast<T*>(base), each, count(R * N));
  }
  float* const gamma = small_.data();
  float* const beta = gamma + kMostColumns;
  float* const sums = beta + kMostColumns;
  float* const more = sums + kMostColumns;
  float* const mean = more + kMostColumns;
  float* const rstd = mean + kMostColumns;
  float* const tile = rstd + kMostColumns;  // kMostTile floats
  const std::int32_t* const targets = targets_.data();
  const KernelTable& kf = k_;
  const ActivationKernels<T>& k = activation_kernels<T>(k_);
  if (name == "norm_forward") {
    return [=, &k]() mutable {
      k.layernorm_forward(R, N, at[0].next(), gamma, beta, to[1].next(), mean, rstd);
    };
  }
  if (name == "norm_backward") {
    return [=, &k]() mutable {
      T* const copy = kFloat ? nullptr : to[5].next();
      k.layernorm_backward(R, N, at[0].next(), at[1].next(), gamma, beta, mean, rstd, at[2].next(),
                           at[3].next(), copy, to[4].next(), sums, more);
    };
  }
  if (name == "bias_add") {
    return [=, &k]() mutable {
      T* const out = to[0].next();
      k.bias_add(R, N, gamma, kFloat ? reinterpret_cast<float*>(out) : tile, N, out, N);
    };
  }
  if (name == "bias_residual") {
    return [=, &kf]() mutable { kf.bias_residual(R, N, beta, at[0].next(), N, at[1].next(), N); };
  }
  if (name == "bias_gelu") {
    return [=, &k]() mutable {
      T* const g = to[0].next();
      k.bias_gelu(R, N, beta, kFloat ? reinterpret_cast<float*>(g) : tile, N, g, N, to[1].next(),
                  N);
    };
  }
  if (name == "gelu_backward") {
    // It multiplies in place, so it multiplies by 1: no number vanishes, however often it is
    // called.
    std::fill(arena_.data(), arena_.data() + each, twice(1.0f));
    return [=, &k]() mutable {
      T* const d = to[1].next();
      k.gelu_backward(R, N, to[0].next(), N, kFloat ? reinterpret_cast<float*>(d) : tile, N, d, N,
                      sums);
    };
  }
  if (name == "column_sums") {
    return [=, &k]() mutable { k.column_sums(R, N, to[0].next(), N, sums, false); };
  }
  if (name == "softmax_stats") {
    return [=, &kf]() mutable { kf.softmax_stats(R, N, at[0].next(), N, mean, rstd); };
  }
  if (name == "softmax_gradient") {
    return [=, &k]() mutable {
      float* const x = at[0].next();
      k.softmax_gradient(R, N, x, N, gamma, targets, 0, 1e-3f, reinterpret_cast<T*>(x),
                         kPerFloat<T> * N);
    };
  }
  throw std::invalid_argument("no pass over rows is called " + name);
}

std::function<void()> KernelCaller::flat(const std::string& name, const Sizes& sizes) {
  const std::size_t n = count(sizes[0]);
  const std::size_t streams = name == "sum_squares" ? 1
                              : name == "sum_2"     ? 2
                              : name == "adamw"     ? 4
                                                    : 3;
  const std::size_t each = std::min(floats_, count(sizes[1]) * 256) / streams;
  std::vector<Wanderer<float>> at;
  for (std::size_t s = 0; s < streams; ++s) at.emplace_back(arena_.data() + s * each, each, n);
  const KernelTable& k = k_;
  if (name == "add") {
    return [=, &k]() mutable { k.add(n, at[0].next(), at[1].next(), at[2].next()); };
  }
  if (name == "sum_squares") {
    return [=, &k]() mutable { static_cast<void>(k.sum_squares(n, at[0].next())); };
  }
  if (name == "adamw") {
    const AdamWArgs args{1e-6f, 0.9f, 0.99f, 1e-8f, 0.1f, 1.0f, 1.0f, 1.0f};
    return [=, &k]() mutable {
      k.adamw(n, args, at[0].next(), at[1].next(), at[2].next(), at[3].next());
    };
  }
  const int sources = name == "sum_2" ? 2 : 3;
  return [=, &k]() mutable {
    const float* from[3];
    float* const first = at[0].next();
    from[0] = first;
    for (int s = 1; s < sources; ++s) from[s] = at[count(s)].next();
    k.ordered_sum(n, sources, from, first);
  };
}

}  // namespace cllm
