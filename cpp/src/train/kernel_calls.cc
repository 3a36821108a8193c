#include "train/kernel_calls.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace cllm {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::int64_t kNear = 256, kMiddle = 8 << 10, kFar = 96 << 10;  // KiB: L2, L3, memory
constexpr std::int64_t kLongest = 1024, kWidest = 128;                   // of attention
constexpr std::int64_t kMostColumns = 4096;

double product_work(const Sizes& s) { return static_cast<double>(s[0] * s[1] * s[2]); }
double attention_work(const Sizes& s) { return static_cast<double>(s[0] * s[0] * s[1]); }
double row_work(const Sizes& s) { return static_cast<double>(s[0] * s[1]); }
double flat_work(const Sizes& s) { return static_cast<double>(s[0]); }

// Products and attention of a few ms at most. Beyond the ends of an axis the rate stays what it is.
const std::vector<Sizes> kProduct = {
    {16, 128, 512}, {32, 128}, {64, 256, 1024}, {kMiddle / 4, kFar}};
const std::vector<Sizes> kAttention = {{16, 64, 256, kLongest}, {16, 32, 64, kWidest}};
const std::vector<Sizes> kRows = {{16}, {64, 768}, {kNear, kMiddle, kFar}};
const std::vector<Sizes> kLogits = {{64}, {64, 512}, {kNear, kMiddle, kFar}};
const std::vector<Sizes> kAdd = {{32, 768}, {kNear, kMiddle, kFar}};
const std::vector<Sizes> kFlat = {{16384}, {kNear, kMiddle, kFar}};

/// Places in a range of floats, one after another and round again.
class Wanderer {
 public:
  Wanderer(float* base, std::size_t range, std::size_t step)
      : base_(base), places_(std::max<std::size_t>(1, range / padded(step))), step_(padded(step)) {}
  float* next() noexcept {
    float* const here = base_ + at_ * step_;
    if (++at_ == places_) at_ = 0;
    return here;
  }

 private:
  static std::size_t padded(std::size_t floats) { return (floats + 31) / 32 * 32; }
  float* base_;
  std::size_t places_, step_, at_ = 0;
};

std::size_t count(std::int64_t n) { return static_cast<std::size_t>(n); }

}  // namespace

const std::vector<KernelGrid>& kernel_grids() {
  static const std::vector<KernelGrid> grids = {{"gemm_nn", kProduct, product_work},
                                                {"gemm_nt", kProduct, product_work},
                                                {"gemm_tn", kProduct, product_work},
                                                {"attention_forward", kAttention, attention_work},
                                                {"attention_backward", kAttention, attention_work},
                                                {"norm_forward", kRows, row_work},
                                                {"norm_backward", kRows, row_work},
                                                {"bias_add", kRows, row_work},
                                                {"bias_residual", kRows, row_work},
                                                {"bias_gelu", kRows, row_work},
                                                {"gelu_backward", kRows, row_work},
                                                {"column_sums", kRows, row_work},
                                                {"softmax_stats", kLogits, row_work},
                                                {"softmax_gradient", kLogits, row_work},
                                                {"add", kAdd, flat_work},
                                                {"sum_2", kFlat, flat_work},
                                                {"sum_3", kFlat, flat_work},
                                                {"sum_squares", kFlat, flat_work},
                                                {"adamw", kFlat, flat_work}};
  return grids;
}

const KernelGrid& kernel_grid(const std::string& name) {
  for (const KernelGrid& grid : kernel_grids()) {
    if (name == grid.name) return grid;
  }
  throw std::invalid_argument("no kernel is called " + name);
}

KernelCaller::KernelCaller(GemmBackend backend, const KernelTable& kernels, std::int64_t most_kib)
    : k_(kernels),
      gemm_(make_gemm(backend, kernels)),
      // At least the operands of the largest product and of the longest attention.
      floats_(count(std::max<std::int64_t>(most_kib, 40 << 10)) * 256),
      arena_(floats_),
      small_(count(6 * kMostColumns)),
      attention_(kernels.attention_scratch_floats(kLongest, kWidest)),
      targets_(count(kMostColumns), 0) {
  for (float& x : small_.span()) x = 1.0f;
  fill(floats_);
}

// Kernels write over their operands; numbers that got too small to be normal would slow the next.
void KernelCaller::fill(std::size_t floats) {
  constexpr std::size_t kPattern = 1 << 14;
  for (std::size_t i = 0; i < std::min(floats, kPattern); ++i) {
    arena_[i] = static_cast<float>(i * 2654435761u % 1009) * 1e-3f - 0.5f;
  }
  for (std::size_t at = kPattern; at < floats; at += kPattern) {
    std::memcpy(arena_.data() + at, arena_.data(), std::min(kPattern, floats - at) * sizeof(float));
  }
}

std::function<void()> KernelCaller::call(const KernelGrid& grid, const Sizes& sizes) {
  fill(grid.work == row_work || grid.work == flat_work
           ? std::min(floats_, count(sizes.back()) * 256)
           : floats_);
  const std::string name = grid.name;
  if (name == "gemm_nn") return product(GemmForm::kNN, sizes);
  if (name == "gemm_nt") return product(GemmForm::kNT, sizes);
  if (name == "gemm_tn") return product(GemmForm::kTN, sizes);
  if (grid.work == attention_work) return attention(name == "attention_backward", sizes);
  return grid.work == flat_work ? flat(name, sizes) : rows(name, sizes);
}

std::function<void()> KernelCaller::copy(std::size_t bytes) {
  const std::size_t step = bytes / sizeof(float);
  Wanderer from(arena_.data(), floats_ / 2, step),
      to(arena_.data() + floats_ / 2, floats_ / 2, step);
  return [=]() mutable { std::memcpy(to.next(), from.next(), bytes); };
}

// The tile keeps its rows of A for a row of tiles; B and C are new every time, as in a step.
std::function<void()> KernelCaller::product(GemmForm form, const Sizes& sizes) {
  const std::int64_t m = sizes[0], n = sizes[1], k = sizes[2];
  const std::size_t range = std::min(floats_, count(sizes[3]) * 256);
  const std::size_t b = count(n * k), c = count(m * n);
  // Rows of a matrix lie further apart than a tile is wide.
  GemmArgs args{form,
                m,
                n,
                k,
                arena_.data(),
                form == GemmForm::kTN ? m : k,
                nullptr,
                form == GemmForm::kNT ? k : n,
                nullptr,
                n,
                form == GemmForm::kTN};
  const std::size_t keep = count(m * k);
  Wanderer from(arena_.data() + keep, std::max(range, b + c) * b / (b + c), b);
  const std::size_t rest = keep + std::max(range, b + c) * b / (b + c) + 64;
  if (rest + c > floats_) throw std::invalid_argument("a product's operands do not fit");
  Wanderer to(arena_.data() + rest, std::min(floats_ - rest, range), c);
  return [=, gemm = gemm_.get()]() mutable {
    args.b = from.next();
    args.c = to.next();
    gemm->run(args);
  };
}

// A head inside rows of twelve heads: q, k and v side by side, as in a step.
std::function<void()> KernelCaller::attention(bool backward, const Sizes& sizes) {
  const std::int64_t T = sizes[0], D = sizes[1], heads = 4;
  AttentionArgs<float> args{};
  args.length = T;
  args.head_width = D;
  args.ld_qkv = args.ld_dqkv = 3 * heads * D;
  args.ld_out = heads * D;
  args.row_end = T;
  args.scratch = attention_.data();
  const std::size_t whole = count(T * heads * D);
  float* const qkv = arena_.data();
  float* const out = qkv + 3 * whole;
  float* const dout = out + whole;
  float* const dqkv = dout + whole;
  float* const lse = dqkv + 3 * whole;
  if (8 * whole + count(heads * T) > floats_) {
    throw std::invalid_argument("attention's operands do not fit");
  }
  return [=, &k = k_, head = std::int64_t{0}]() mutable {
    const std::int64_t at = head * D;
    args.q = qkv + at;
    args.k = args.q + heads * D;
    args.v = args.k + heads * D;
    args.out = out + at;
    args.lse = lse + head * T;
    head = (head + 1) % heads;
    if (!backward) return k.attention_forward(args);
    args.dout = dout + at;
    args.dq = dqkv + at;
    args.dk = args.dq + heads * D;
    args.dv = args.dk + heads * D;
    k.attention_backward(args);
  };
}

std::function<void()> KernelCaller::rows(const std::string& name, const Sizes& sizes) {
  const std::int64_t R = sizes[0], N = sizes[1];
  const std::size_t streams =
      name == "norm_backward"                                                    ? 5
      : name == "gelu_backward"                                                  ? 3
      : name == "norm_forward" || name == "bias_residual" || name == "bias_gelu" ? 2
                                                                                 : 1;
  const std::size_t each = std::min(floats_, count(sizes[2]) * 256) / streams;
  std::vector<Wanderer> at;
  for (std::size_t s = 0; s < streams; ++s)
    at.emplace_back(arena_.data() + s * each, each, count(R * N));
  float* const gamma = small_.data();
  float* const beta = gamma + kMostColumns;
  float* const sums = beta + kMostColumns;
  float* const more = sums + kMostColumns;
  float* const mean = more + kMostColumns;
  float* const rstd = mean + kMostColumns;
  const std::int32_t* const targets = targets_.data();
  const KernelTable& k = k_;
  if (name == "norm_forward") {
    return [=, &k]() mutable {
      k.layernorm_forward(R, N, at[0].next(), gamma, beta, at[1].next(), mean, rstd);
    };
  }
  if (name == "norm_backward") {
    return [=, &k]() mutable {
      k.layernorm_backward(R, N, at[0].next(), at[1].next(), gamma, beta, mean, rstd, at[2].next(),
                           at[3].next(), nullptr, at[4].next(), sums, more);
    };
  }
  if (name == "bias_add")
    return [=, &k]() mutable {
      float* const x = at[0].next();
      k.bias_add(R, N, gamma, x, N, x, N);
    };
  if (name == "bias_residual") {
    return [=, &k]() mutable { k.bias_residual(R, N, beta, at[0].next(), N, at[1].next(), N); };
  }
  if (name == "bias_gelu") {
    return [=, &k]() mutable {
      float* const h = at[0].next();
      k.bias_gelu(R, N, beta, h, N, h, N, at[1].next(), N);
    };
  }
  if (name == "gelu_backward") {
    // It multiplies in place: by about 1 where h is 3.
    std::fill(arena_.data(), arena_.data() + each, 3.0f);
    return [=, &k]() mutable {
      float* const d = at[1].next();
      k.gelu_backward(R, N, at[0].next(), N, d, N, d, N, at[2].next(), N);
    };
  }
  if (name == "column_sums") {
    return [=, &k]() mutable { k.column_sums(R, N, at[0].next(), N, sums, false); };
  }
  if (name == "softmax_stats") {
    return [=, &k]() mutable { k.softmax_stats(R, N, at[0].next(), N, mean, rstd); };
  }
  if (name == "softmax_gradient") {
    return [=, &k]() mutable {
      float* const x = at[0].next();
      k.softmax_gradient(R, N, x, N, gamma, targets, 0, 1e-3f, x, N);
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
  std::vector<Wanderer> at;
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
