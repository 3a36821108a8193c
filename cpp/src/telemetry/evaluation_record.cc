#include "telemetry/evaluation_record.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/read_lines.h"

namespace cllm {

EvaluationRecord read_evaluations(const std::string& metrics_file, std::int64_t tokens_total) {
  EvaluationRecord record;
  if (!is_there(metrics_file)) return record;
  read_lines(metrics_file, [&](std::string_view line, bool) {
    if (line.find("\"val_loss\"") == std::string::npos || line.size() > 4096) return true;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return true;
    const auto step = json.find("step"), loss = json.find("val_loss");
    if (step == json.end() || loss == json.end()) return true;
    if (!step->is_number_integer() || !(loss->is_number() || loss->is_null())) return true;
    const auto used = json.find("val_tokens");
    const bool says = used != json.end() && used->is_number_integer();
    record.add(*step, loss->is_null() ? std::nan("") : loss->get<double>(),
               says ? used->get<std::int64_t>() : tokens_total);
    return true;
  });
  return record;
}

}  // namespace cllm
