#include "forecast/shard_costs.h"

#include <string>

#include "model/tile_calls.h"

namespace cllm {
namespace {

/// Adds up the times of a tile's calls.
class CallTimes final : public CallListener {
 public:
  CallTimes(const KernelClock& clock, const Footprints& footprints, const ShardCuts& cuts,
            Precision precision)
      : clock_(clock),
        footprints_(footprints),
        cuts_(cuts),
        prefix_(precision == Precision::kBf16 ? "bf16_" : "") {}

  const TileTime& time() const noexcept { return time_; }

  void product(GemmForm form, bool by_weight, std::int64_t m, std::int64_t n,
               std::int64_t k) override {
    const char* kernel = form == GemmForm::kNN   ? "gemm_nn"
                         : form == GemmForm::kNT ? "gemm_nt"
                                                 : "gemm_tn";
    if (by_weight && cuts_.weights == WeightLayout::kPacked) kernel = "gemm_packed";
    time_.product += clock_.nanoseconds(prefix_ + kernel, {m, n, k, footprints_.activations});
  }
  void pass(const char* kernel, bool stored, std::int64_t m, std::int64_t n) override {
    time_.pass +=
        clock_.nanoseconds((stored ? prefix_ : "") + kernel, {m, n, footprints_.activations});
  }
  void add(std::int64_t n, std::int64_t times) override {
    time_.pass +=
        static_cast<double>(times) * clock_.nanoseconds("add", {n, footprints_.activations});
  }
  void attention(const char* kernel, double heads) override {
    time_.pass += heads * clock_.nanoseconds(prefix_ + kernel,
                                             {cuts_.shape.length, cuts_.config.head_width()});
  }

 private:
  const KernelClock& clock_;
  const Footprints& footprints_;
  const ShardCuts& cuts_;
  const std::string prefix_;
  TileTime time_;
};

}  // namespace

TileTime tile_time(const KernelClock& clock, const Footprints& footprints, const ShardCuts& cuts,
                   const Phase& phase, std::int32_t tile, Precision precision) {
  CallTimes times(clock, footprints, cuts, precision);
  list_calls(cuts, phase, tile, times);
  return times.time();
}

}  // namespace cllm
