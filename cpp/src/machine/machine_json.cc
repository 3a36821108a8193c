// A Machine is written as JSON and read back.
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "cllm/error.h"
#include "cllm/machine.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

MachineRates rates_of(const Json& j) {
  MachineRates r;
  r.workers = j.at("workers").get<std::int64_t>();
  r.gemm_gflops = j.at("gemm_gflops").get<double>();
  r.copy_gbs = j.at("copy_gbs").get<double>();
  r.wake_us = j.at("wake_us").get<double>();
  for (const auto& [kernel, rows] : j.at("nanoseconds").items()) {
    for (const Json& row : rows) {
      KernelTime time;
      time.kernel = kernel;
      time.sizes = row.at(0).get<std::vector<std::int64_t>>();
      time.nanoseconds = row.at(1).get<double>();
      if (row.size() > 2) {  // earlier versions kept only times
        time.bytes_moved = row.at(2).get<double>();
        time.operations = row.at(3).get<double>();
      }
      r.times.push_back(std::move(time));
    }
  }
  return r;
}

/// Returns why nothing can be predicted from the machine; "" when something can.
std::string fault(const Machine& machine) {
  if (machine.rates.empty()) return "no rates";
  std::int64_t before = 0;
  for (const MachineRates& r : machine.rates) {
    if (r.workers <= before) return "workers that do not ascend from 1";
    before = r.workers;
    if (!(r.gemm_gflops > 0 && r.copy_gbs > 0 && r.wake_us > 0))
      return "a rate that is not above 0";
    for (const KernelTime& t : r.times) {
      if (!(t.nanoseconds > 0)) return "a time of " + t.kernel + " that is not above 0";
      if (t.bytes_moved < 0 || t.operations < 0) return "work of " + t.kernel + " below 0";
    }
  }
  return "";
}

}  // namespace

std::string machine_json(const Machine& machine) {
  nlohmann::ordered_json out;
  out["cpu"] = machine.cpu;
  out["kernels"] = machine.kernels;
  out["gemm"] = machine.gemm;
  out["rates"] = nlohmann::ordered_json::array();
  for (const MachineRates& r : machine.rates) {
    nlohmann::ordered_json one;
    one["workers"] = r.workers;
    one["gemm_gflops"] = r.gemm_gflops;
    one["copy_gbs"] = r.copy_gbs;
    one["wake_us"] = r.wake_us;
    for (const KernelTime& t : r.times) {
      one["nanoseconds"][t.kernel].push_back({t.sizes, t.nanoseconds, t.bytes_moved, t.operations});
    }
    out["rates"].push_back(std::move(one));
  }
  return out.dump();
}

Machine parse_machine(const std::string& json, const std::string& where) {
  const char* const wanted = "the JSON that `cllm bench --machine-only` writes";
  check_json_text(json, where);
  Machine machine;
  try {
    const Json j = Json::parse(json);
    machine.cpu = j.at("cpu").get<std::string>();
    machine.kernels = j.at("kernels").get<std::string>();
    machine.gemm = j.at("gemm").get<std::string>();
    for (const Json& r : j.at("rates")) machine.rates.push_back(rates_of(r));
  } catch (const Json::exception& error) {
    throw InputError({"this is no measurement of a machine", error.what(), wanted, where, ""});
  }
  const std::string why = fault(machine);
  if (!why.empty()) {
    throw InputError({"this measurement of a machine cannot be used", why, wanted, where, ""});
  }
  return machine;
}

}  // namespace cllm
