# Lets find_package(cllm) define cllm::cllm.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/cllmTargets.cmake)
