#include "base/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/file_descriptor.h"
#include "base/files.h"

namespace cllm {

MappedFile::MappedFile(const std::string& path) {
  const FileDescriptor file = open_for_reading(path, &size_);
  if (size_ == 0) return;
  void* mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) {
    const int code = errno;
    size_ = 0;
    throw_system_error("cannot map the file", path, code);
  }
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  // munmap takes a pointer to non-const memory although it writes nothing.
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace cllm
