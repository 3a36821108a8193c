// LinearPhases adds the phases of a linear map, with those of its adapter if it has one, to a list.
#pragma once

#include <utility>

#include "model/phase_list.h"

namespace cllm {

class LinearPhases : public PhaseList {
 public:
  using PhaseList::PhaseList;

 protected:
  /// Returns the buffer of a site, of those that begin with `first`.
  static Buffer of_site(Buffer first, LinearSite site) {
    return static_cast<Buffer>(static_cast<std::int32_t>(first) + static_cast<std::int32_t>(site));
  }
  /// These are what the products of a linear map read: its input, and the gradient of its result.
  Access reads_input(LinearSite site, std::int64_t layer, Range rows) const {
    switch (site) {
      case LinearSite::kQkv:
        return reads(Buffer::kNormed1, rows);
      case LinearSite::kProjection:
        return reads(Buffer::kAttended, layer, rows);
      case LinearSite::kHidden:
        return reads(Buffer::kNormed2, rows);
      case LinearSite::kOutput:
        break;
    }
    return reads(Buffer::kActivated, layer, rows);
  }
  Access reads_gradient(LinearSite site, std::int64_t layer, Range rows) const {
    switch (site) {
      case LinearSite::kQkv:
        return reads(Buffer::kDqkv, rows);
      case LinearSite::kProjection:
        return reads(Buffer::kDmiddle, rows);
      case LinearSite::kHidden:
        return reads(Buffer::kDhidden, rows);
      case LinearSite::kOutput:
        break;
    }
    return reads(Buffer::kDx, above(layer), rows);
  }

  const Linear& linear_at(LinearSite site, std::int64_t layer) const {
    return cuts_.layout->layer(layer).linear(site);
  }
  bool adapted(LinearSite site, std::int64_t layer) const {
    return linear_at(site, layer).adapter.exists();
  }
  /// `accesses` gives what tiles write, and what they read beside the input.
  template <class AccessesOf>
  void linear(LinearSite site, std::int64_t layer, AccessesOf accesses) {
    adapt(site, layer);
    const bool adapts = adapted(site, layer);
    const auto with_operands = [&](Range rows) {
      Accesses list = accesses(rows);
      list.push_back(reads_input(site, layer, rows));
      if (adapts) list.push_back(reads(of_site(Buffer::kQkvAdapted, site), layer, rows));
      return list;
    };
    product(Op::kLinear, layer, cuts_.linear(site).forward, with_operands, 0, site);
  }
  /// Adds what a linear map's adapter computes before it, if it has one.
  void adapt(LinearSite site, std::int64_t layer) {
    if (!adapted(site, layer)) return;
    const auto accesses = [&](Range rows) {
      return with_dropped(
          site,
          {reads_input(site, layer, rows), writes(of_site(Buffer::kQkvAdapted, site), layer, rows)},
          rows);
    };
    product(Op::kAdapt, layer, cuts_.linear(site).adapted, accesses, 0, site);
  }
  bool drops() const { return cuts_.layout->adapter_dropout() > 0 && pass_ != Pass::kForward; }
  /// Adds to `accesses` that an adapter's input is written after dropout, if it has dropout.
  Accesses with_dropped(LinearSite site, Accesses accesses, Range rows) const {
    if (drops()) accesses.push_back(writes(of_site(Buffer::kDropped, site), rows));
    return accesses;
  }
  /// `accesses` gives what tiles write, and what they read beside the gradient of the result. There
  /// are none where nothing is trained below.
  template <class AccessesOf>
  void linear_backward(LinearSite site, std::int64_t layer, AccessesOf accesses) {
    const bool adapts = adapted(site, layer);
    const Buffer dadapted = of_site(Buffer::kDadapted, site);
    if (adapts) {
      const auto parts = [&](Range rows) {
        return Accesses{reads_gradient(site, layer, rows), writes(dadapted, rows)};
      };
      product(Op::kAdaptBackward, layer, cuts_.linear(site).adapted_parts, parts, 0, site);
    }
    if (!cuts_.layout->trains_below(layer, site)) return;
    const auto with_operands = [&](Range rows) {
      Accesses list = accesses(rows);
      list.push_back(reads_gradient(site, layer, rows));
      if (adapts) list.push_back(reads(dadapted, rows));
      return list;
    };
    product(Op::kLinearBackward, layer, cuts_.linear(site).backward, with_operands, 0, site);
  }

  /// Adds the gradients of a linear map's weight and adapter, if they are trained.
  void linear_weight(LinearSite site, std::int64_t l) {
    const Access x = reads_input(site, l, all()), dy = reads_gradient(site, l, all());
    const LinearCuts& cuts = cuts_.linear(site);
    const auto product = [&](Op op, std::int32_t tiles, Buffer gradient, Accesses operands) {
      operands.push_back(writes(of_site(gradient, site), l, all()));
      add(op, site, l, tiles, std::move(operands));
    };
    if (is_trained(linear_at(site, l).weight)) {
      product(Op::kLinearWeight, cuts.weight.tiles(), Buffer::kQkvGradient, {x, dy});
    }
    if (!adapted(site, l)) return;
    Access input = x;
    if (drops()) {
      const auto accesses = [&](Range rows) {
        return with_dropped(site, {reads_input(site, l, rows)}, rows);
      };
      PhaseList::product(Op::kDropAgain, l, cuts.adapted, accesses, 0, site);
      input = reads(of_site(Buffer::kDropped, site), all());
    }
    product(Op::kAdapterA, cuts.adapter_a.tiles(), Buffer::kAdapterA,
            {input, reads(of_site(Buffer::kDadapted, site), all())});
    product(Op::kAdapterB, cuts.b_tiles(), Buffer::kAdapterB,
            {dy, reads(of_site(Buffer::kQkvAdapted, site), l, all())});
  }
  void vectors(Op op, std::int64_t l, Buffer sums, Buffer gradient) {
    add(op, l, 1, {reads(sums, all()), writes(gradient, l, all())});
  }
};

}  // namespace cllm
