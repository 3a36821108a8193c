// Lines of metrics.jsonl, spheres.jsonl and groups.jsonl have exact keys and valid JSON for every
// number, are cheap, and are cut at the right line when a run is resumed.
#include "telemetry/json_lines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) names.push_back(item.key());
  return names;
}

StepReport some_step(std::int64_t step) {
  StepReport r;
  r.step = step;
  r.epoch = 1.0 / 3;
  r.tokens = 9007199254740993;
  r.trained_tokens = 9007199254740992;
  r.loss = 2.4512345678901234;
  r.gradient_norm = 5e-324;
  r.learning_rate = 1e-3;
  r.milliseconds = 9.4;
  r.tokens_per_second = 81702.5;
  r.gflops = 401.25;
  r.mfu = 0.625;
  r.workers = 51;
  return r;
}

class JsonLinesTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ =
        (fs::temp_directory_path() / ("cllm_json_lines_" + std::to_string(::getpid()))).string();
    fs::remove(path_);
  }
  void TearDown() override { fs::remove(path_); }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_, std::ios::binary).rdbuf();
    return text.str();
  }
  void put(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  std::string path_;
};

TEST_F(JsonLinesTest, StepLineHasItsKeysAndExactNumbers) {
  JsonLineBuffer buffer;
  const StepReport r = some_step(12);
  const Json json = Json::parse(json_line(r, buffer));
  EXPECT_EQ(keys(json), (std::vector<std::string>{"step", "epoch", "tokens", "trained_tokens",
                                                  "loss", "grad_norm", "lr", "ms", "tokens_per_s",
                                                  "gflops", "mfu", "skipped", "late", "workers"}));
  EXPECT_EQ(json["step"], 12);
  EXPECT_EQ(json["epoch"].get<double>(), r.epoch);
  EXPECT_EQ(json["tokens"].get<std::int64_t>(), r.tokens);
  EXPECT_EQ(json["trained_tokens"], r.trained_tokens);
  EXPECT_EQ(json["loss"].get<double>(), r.loss);
  EXPECT_EQ(json["grad_norm"].get<double>(), r.gradient_norm);
  EXPECT_EQ(json["lr"].get<double>(), r.learning_rate);
  EXPECT_EQ(json["ms"].get<double>(), r.milliseconds);
  EXPECT_EQ(json["tokens_per_s"].get<double>(), r.tokens_per_second);
  EXPECT_EQ(json["gflops"].get<double>(), r.gflops);
  EXPECT_EQ(json["mfu"].get<double>(), r.mfu);
  EXPECT_EQ(json["workers"], 51);
  EXPECT_EQ(json["skipped"], false);
  EXPECT_EQ(json["late"], false);
}

TEST_F(JsonLinesTest, NumbersThatAreNotFiniteAreNull) {
  JsonLineBuffer buffer;
  StepReport r = some_step(1);
  r.loss = std::nan("");
  r.gradient_norm = std::numeric_limits<double>::infinity();
  r.skipped = r.late = true;
  const Json json = Json::parse(json_line(r, buffer));
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_TRUE(json["grad_norm"].is_null());
  EXPECT_EQ(json["skipped"], true);
  EXPECT_EQ(json["late"], true);
}

TEST_F(JsonLinesTest, EvaluationLineLeavesBitsPerByteToByteModels) {
  JsonLineBuffer buffer;
  Json json = Json::parse(json_line(EvaluationReport{250, 1.875, 2.705, 640, 999}, buffer));
  EXPECT_EQ(keys(json), (std::vector<std::string>{"step", "val_loss", "bits_per_byte", "val_tokens",
                                                  "val_tokens_total"}));
  EXPECT_EQ(json["step"], 250);
  EXPECT_EQ(json["val_loss"], 1.875);
  EXPECT_EQ(json["bits_per_byte"], 2.705);
  EXPECT_EQ(json["val_tokens"], 640);
  EXPECT_EQ(json["val_tokens_total"], 999);
  json = Json::parse(json_line(EvaluationReport{250, 1.875, 0, 999, 999}, buffer));
  EXPECT_TRUE(json["bits_per_byte"].is_null());
}

TEST_F(JsonLinesTest, GroupLineHasEveryField) {
  JsonLineBuffer buffer;
  const Json json = Json::parse(json_line(GroupReport{11, 2, 30, 1920, 4}, 12, buffer));
  EXPECT_EQ(json.dump(),
            R"({"step":12,"group":11,"position":2,"sequences":30,"tokens":1920,"moved":4})");
}

TEST_F(JsonLinesTest, RingLineHasEveryField) {
  JsonLineBuffer buffer;
  const Json json = Json::parse(json_line(RingReport{24, 8, 288, 1920, 64}, 12, buffer));
  EXPECT_EQ(json.dump(), R"({"step":12,"ring":24,"rings":8,"first":288,"tokens":1920,"moved":64})");
}

TEST_F(JsonLinesTest, SphereLineHasEveryField) {
  JsonLineBuffer buffer;
  SphereReport r;
  r.id = 3, r.level = 2, r.role = "worker", r.parent = 1, r.active = true;
  r.cpu_seconds = 0.5, r.busy_seconds = 0.25, r.parked_seconds = 0.125, r.wall_seconds = 1;
  r.tiles = 10, r.messages_in = 11, r.messages_out = 12, r.queue_high_water = 13;
  EXPECT_EQ(Json::parse(json_line(r, 40, buffer)),
            Json::parse(R"({"step":40,"id":3,"level":2,"role":"worker","parent":1,"active":true,
              "cpu_s":0.5,"busy_s":0.25,"parked_s":0.125,"wall_s":1.0,"tiles":10,
              "messages_in":11,"messages_out":12,"queue_high_water":13})"));
}

TEST_F(JsonLinesTest, LongestLinesFit) {
  JsonLineBuffer buffer;
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  const double longest = -2.2250738585072014e-308;
  StepReport step{least,   longest, least,   least,   longest, longest, longest,
                  longest, longest, longest, longest, false,   false,   least};
  EXPECT_EQ(Json::parse(json_line(step, buffer))["mfu"].get<double>(), longest);
  SphereReport r;
  r.role = "root+worker";
  r.cpu_seconds = r.busy_seconds = r.parked_seconds = r.wall_seconds = longest;
  r.tiles = r.messages_in = r.messages_out = r.queue_high_water = least;
  EXPECT_EQ(Json::parse(json_line(r, least, buffer))["queue_high_water"], least);
}

TEST_F(JsonLinesTest, LinesAreAppendedAndContinued) {
  {
    JsonLines(path_).write(some_step(1));
  }
  JsonLines lines(path_);
  lines.write(EvaluationReport{1, 2.0, 0, 5, 5});
  lines.write(SphereReport{}, 1);
  std::istringstream in(content());
  std::string line;
  int count = 0;
  for (; std::getline(in, line); ++count) EXPECT_EQ(Json::parse(line)["step"], 1) << line;
  EXPECT_EQ(count, 3);
  EXPECT_EQ(content().back(), '\n');
}

TEST_F(JsonLinesTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_THROW(JsonLines("/nonexistent/folder/metrics.jsonl"), Error);
}

TEST_F(JsonLinesTest, ALineCostsLittle) {
  JsonLines lines(path_);
  double best = 1;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) lines.write(some_step(i));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / 100);
  }
  RecordProperty("microseconds_a_line", std::to_string(best * 1e6));
  EXPECT_LT(best, 200e-6);
}

TEST_F(JsonLinesTest, CutsAfterAStep) {
  const std::string kept =
      "{\"step\":9,\"loss\":1}\n{\"step\":10,\"loss\":1}\n"
      "{\"step\": 10,\"val_loss\":2}\n";
  put(kept + "{\"step\":11,\"loss\":1}\n{\"step\":12}\n");
  truncate_after_step(path_, 10);
  EXPECT_EQ(content(), kept);
  truncate_after_step(path_, 10);
  EXPECT_EQ(content(), kept);
  truncate_after_step(path_, 0);
  EXPECT_EQ(content(), "");
}

TEST_F(JsonLinesTest, CutsATornLastLine) {
  const std::string kept = "{\"step\":1,\"loss\":1}\n";
  for (const char* torn :
       {"{\"step\":2,\"lo", "{\"step\":2}", "{\"st", "{\"step\":1,\"x\n", "\n"}) {
    put(kept + torn);
    truncate_after_step(path_, 5);
    EXPECT_EQ(content(), kept) << torn;
  }
}

TEST_F(JsonLinesTest, ATornLineBeforeWholeOnesCostsNoneOfThem) {
  // As a disk leaves them that was full for a moment.
  const std::string kept = "{\"step\":1}\n{\"step\":2,\"lo\n{\"step\":3}\n{\"step\":4}\n";
  put(kept + "{\"step\":5}\n");
  truncate_after_step(path_, 4);
  EXPECT_EQ(content(), kept);
}

TEST_F(JsonLinesTest, CuttingAMissingFileMakesNone) {
  truncate_after_step(path_, 5);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(JsonLinesTest, WhatIsWrittenCanBeCut) {
  {
    JsonLines lines(path_);
    for (int step = 1; step <= 20; ++step) lines.write(some_step(step));
  }
  truncate_after_step(path_, 13);
  JsonLines(path_).write(some_step(14));
  std::istringstream in(content());
  std::string line;
  int step = 0;
  while (std::getline(in, line)) EXPECT_EQ(Json::parse(line)["step"], ++step);
  EXPECT_EQ(step, 14);
}

}  // namespace
}  // namespace cllm
