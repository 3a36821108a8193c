#include "machine/kernel_caller.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace cllm {
namespace {

constexpr std::int64_t kLeastKib = 40 << 10;  // enough for the operands of the longest attention

std::size_t padded(std::int64_t bytes) {
  return static_cast<std::size_t>((bytes + 127) / 128 * 128);
}

}  // namespace

/// Says where one call after another finds its operands. Those that stay begin the arena. Behind
/// them each of the others has a row of places; all rows together are the KiB to wander through.
/// The places of attention are the heads of its rows.
class KernelCaller::Places {
 public:
  Places(const KernelCase& what, const KernelTable& table, const KernelSizes& sizes,
         std::int64_t kib, Span<char> arena)
      : operands_(static_cast<std::size_t>(what.operands())) {
    Each<std::size_t> bytes{};
    for (std::size_t i = 0; i < operands_; ++i) {
      bytes[i] = padded(what.operand[i].bytes(table, sizes));
      if (what.operand[i].place == OperandPlace::kUnder) bytes[0] = std::max(bytes[0], bytes[i]);
    }
    const std::size_t kept = sum(what, OperandPlace::kStays, bytes);
    const std::size_t wandering = sum(what, OperandPlace::kElsewhere, bytes);
    if (kept + wandering > arena.size()) {
      throw std::invalid_argument("the operands of " + what.name(sizes.variant) + " do not fit");
    }
    const std::size_t range = std::min(arena.size() - kept, static_cast<std::size_t>(kib) * 1024);
    places_ = std::max<std::size_t>(1, range / wandering);
    char *staying = arena.data(), *moving = staying + kept;
    for (std::size_t i = 0; i < operands_; ++i) {
      switch (what.operand[i].place) {
        case OperandPlace::kStays:
          first_[i] = std::exchange(staying, staying + bytes[i]);
          break;
        case OperandPlace::kElsewhere:
          first_[i] = std::exchange(moving, moving + places_ * bytes[i]);
          step_[i] = bytes[i];
          break;
        case OperandPlace::kUnder:
          first_[i] = first_[0];
          step_[i] = step_[0];
          break;
      }
      fill_operand(what.operand[i], table, sizes, static_cast<std::uint32_t>(i), first_[i]);
      for (std::size_t p = 1; p < places_ && step_[i] > 0; ++p) {
        std::memcpy(static_cast<char*>(first_[i]) + p * step_[i], first_[i], bytes[i]);
      }
    }
    if (what.shape == KernelShape::kAttention) go_by_heads(what, sizes);
    at_ = first_;
  }

  /// Returns the operands of the next call.
  OperandPointers next() noexcept {
    if (++place_ < places_) {
      for (std::size_t i = 0; i < operands_; ++i) at_[i] = static_cast<char*>(at_[i]) + step_[i];
    } else {
      place_ = 0;
      at_ = first_;
    }
    return {at_.data()};
  }

 private:
  template <class T>
  using Each = std::array<T, KernelCase::kMostOperands>;

  std::size_t sum(const KernelCase& what, OperandPlace place,
                  const Each<std::size_t>& bytes) const {
    std::size_t all = 0;
    for (std::size_t i = 0; i < operands_; ++i)
      all += what.operand[i].place == place ? bytes[i] : 0;
    return all;
  }
  void go_by_heads(const KernelCase& what, const KernelSizes& sizes) {
    places_ = static_cast<std::size_t>(sizes.heads);
    for (std::size_t i = 0; i < operands_; ++i) {
      if (step_[i] > 0)
        step_[i] = static_cast<std::size_t>(sizes.columns) * (what.operand[i].bf16 ? 2 : 4);
    }
  }

  std::size_t operands_, places_ = 1, place_ = 0;
  Each<void*> first_{}, at_{};
  Each<std::size_t> step_{};  // bytes from a place to the next
};

KernelCaller::KernelCaller(GemmBackend backend, const KernelTable& kernels, std::int64_t most_kib)
    : k_(kernels),
      gemm_(make_gemm(backend, kernels)),
      arena_(static_cast<std::size_t>(std::max(most_kib, kLeastKib)) * 1024) {
  std::memset(arena_.data(), 0, arena_.size());
}

std::function<void()> KernelCaller::call(const KernelGrid& grid,
                                         const std::vector<std::int64_t>& point) {
  const KernelCase& what = *grid.what;
  const KernelSizes sizes = grid.sizes(point);
  Places places(what, k_, sizes, grid.kib(point), arena_.span());
  if (what.kernel == std::string("gemm")) {
    return what.bf16 ? product<Bf16, Bf16>(sizes, places) : product<float, float>(sizes, places);
  }
  if (what.kernel == std::string("gemm_weight")) {
    return what.bf16 ? product<Bf16, float>(sizes, places) : product<float, float>(sizes, places);
  }
  return [=, call = what.call, &k = k_]() mutable { call(k, sizes, places.next()); };
}

template <class A, class B>
std::function<void()> KernelCaller::product(const KernelSizes& sizes, Places places) {
  return [sizes, places, gemm = gemm_.get()]() mutable {
    GemmArgsOf<A, B> args = product_args<A, B>(sizes, places.next());
    args.accumulate = args.form == GemmForm::kTN;  // a weight's gradient sums over shards
    gemm->run(args);
  };
}

std::function<void()> KernelCaller::copy(std::size_t bytes) {
  const std::size_t places = std::max<std::size_t>(1, arena_.size() / 2 / bytes);
  char *const from = arena_.data(), *const to = from + arena_.size() / 2;
  return [=, place = std::size_t{0}]() mutable {
    std::memcpy(to + place * bytes, from + place * bytes, bytes);
    place = (place + 1) % places;
  };
}

}  // namespace cllm
