"""The C++ library as another project uses it: installed, found by CMake, linked and run."""

import re
import shutil
import subprocess

import pytest
from conftest import BUILD

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(cllm 0.1 REQUIRED)
add_executable(consumer consumer.cc)
target_link_libraries(consumer PRIVATE cllm::cllm)
"""
SOURCE = """#include <cllm/model.h>
#include <cllm/trainer.h>

#include <cstdio>

int main() {
  cllm::TrainConfig config;
  config.data = "text.txt";
  config.out = "run";
  config.steps = 3;
  config.workers = "1";
  cllm::TrainObserver quiet;
  cllm::Trainer trainer(config);
  trainer.run(quiet);
  const cllm::Model model = cllm::Model::load("run", 1);
  std::printf("%lld steps, %d tokens\\n", static_cast<long long>(trainer.steps_done()),
              static_cast<int>(model.encode("to be").size()));
}
"""


@pytest.mark.skipif(not shutil.which("cmake") or not (BUILD / "CMakeCache.txt").exists(),
                    reason="no CMake, or no build to install")
def test_another_project_finds_links_and_trains(tmp_path):
    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300,
                              check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "consumer.cc").write_text(SOURCE)
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 200)
    cache = dict(re.findall(r"^(CMAKE_\w+):\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(),
                            re.MULTILINE))
    run("cmake", "--build", BUILD, "--target", "cllm")
    run("cmake", "--install", BUILD, "--prefix", tmp_path / "installed")
    run("cmake", "-B", "build", "-G", cache["CMAKE_GENERATOR"],
        f"-DCMAKE_CXX_COMPILER={cache['CMAKE_CXX_COMPILER']}", "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_PREFIX_PATH={tmp_path / 'installed'}")
    run("cmake", "--build", "build")
    assert run(tmp_path / "build/consumer") == "3 steps, 5 tokens\n"
    assert (tmp_path / "run/final/model.safetensors").is_file()
