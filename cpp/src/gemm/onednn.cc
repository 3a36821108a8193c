#include "gemm/onednn.h"

#include "base/aligned_buffer.h"
#include "cllm/error.h"
#include "gemm/onednn_library.h"

#ifdef CLLM_ONEDNN

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace cllm {
namespace {

constexpr const char* kHint = "pip install onednn-devel-cpu-gomp==2023.2.0, or use native";

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  throw Error(ErrorParts{std::string("oneDNN cannot ") + what, onednn().status2str(status), "",
                         "gemm onednn", ""});
}

/// Makes the OpenMP regions of this thread run on it alone, and undoes that afterwards, because the
/// thread may be the user's.
class OneThread {
 public:
  explicit OneThread(const OneDnn& library) : set_(library.omp_set_num_threads) {
    if (set_ == nullptr || library.omp_get_max_threads == nullptr) return;
    before_ = library.omp_get_max_threads();
    if (before_ != 1) set_(1);
  }
  ~OneThread() {
    if (before_ > 1) set_(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  void (*set_)(int);
  int before_ = 0;
};

constexpr dnnl_data_type_t type_of(const float*) { return dnnl_f32; }
constexpr dnnl_data_type_t type_of(const Bf16*) { return dnnl_bf16; }

/// Says what a primitive is made for: calls that agree in all of this share one.
struct CallKind {
  std::array<std::int64_t, 9> words;
  template <class T>
  explicit CallKind(const GemmArgsOf<T, T>& g)
      : words{static_cast<std::int64_t>(g.form),
              g.m,
              g.n,
              g.k,
              g.a.stride,
              g.b.stride,
              g.c.stride,
              g.accumulate,
              static_cast<std::int64_t>(type_of(g.a.data))} {}
  bool operator==(const CallKind& other) const { return words == other.words; }
};

struct CallKindHash {
  std::size_t operator()(const CallKind& kind) const noexcept {
    std::uint64_t hash = 0;
    for (const std::int64_t word : kind.words) {
      hash = (hash ^ static_cast<std::uint64_t>(word)) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

/// Holds one matmul primitive with the three memories that it is called with.
class Product {
 public:
  template <class T>
  Product(const OneDnn& library, dnnl_engine_t engine, const GemmArgsOf<T, T>& g)
      : library_(library) {
    const bool a_transposed = g.form == GemmForm::kTN;
    const bool b_transposed = g.form == GemmForm::kNT;
    // Of all that is made from descriptors, only the primitive outlives this constructor.
    Descriptors made(library);
    const dnnl_data_type_t type = type_of(g.a.data);
    make_memory(engine, type, &made.a, &a_, {g.m, g.k},
                {a_transposed ? 1 : g.a.stride, a_transposed ? g.a.stride : 1});
    make_memory(engine, type, &made.b, &b_, {g.k, g.n},
                {b_transposed ? 1 : g.b.stride, b_transposed ? g.b.stride : 1});
    make_memory(engine, dnnl_f32, &made.c, &c_, {g.m, g.n}, {g.c.stride, 1});
    check(library.primitive_attr_create(&made.attributes), "make attributes");
    if (g.accumulate) {
      check(library.post_ops_create(&made.post_ops), "make post-operations");
      check(library.post_ops_append_sum(made.post_ops, 1.0f, 0, dnnl_f32), "accumulate");
      check(library.primitive_attr_set_post_ops(made.attributes, made.post_ops), "accumulate");
    }
    check(library.matmul_primitive_desc_create(&made.description, engine, made.a, made.b, nullptr,
                                               made.c, made.attributes),
          "describe a product");
    check(library.primitive_create(&primitive_, made.description), "make a product");
  }
  ~Product() {
    if (primitive_ != nullptr) library_.primitive_destroy(primitive_);
    for (const dnnl_memory_t memory : {a_, b_, c_}) {
      if (memory != nullptr) library_.memory_destroy(memory);
    }
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  template <class T>
  void run(dnnl_stream_t stream, const GemmArgsOf<T, T>& g) const {
    // The library takes all memory as writable, but only reads the operands.
    check(library_.memory_set_data_handle(a_, const_cast<T*>(g.a.data)), "use an operand");
    check(library_.memory_set_data_handle(b_, const_cast<T*>(g.b.data)), "use an operand");
    check(library_.memory_set_data_handle(c_, g.c.data), "use a result");
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}};
    check(library_.primitive_execute(primitive_, stream, 3, arguments), "multiply");
    check(library_.stream_wait(stream), "multiply");
  }

 private:
  struct Descriptors {
    explicit Descriptors(const OneDnn& from) : library(from) {}
    ~Descriptors() {
      if (description != nullptr) library.primitive_desc_destroy(description);
      if (attributes != nullptr) library.primitive_attr_destroy(attributes);
      if (post_ops != nullptr) library.post_ops_destroy(post_ops);
      for (const dnnl_memory_desc_t memory : {a, b, c}) {
        if (memory != nullptr) library.memory_desc_destroy(memory);
      }
    }
    Descriptors(const Descriptors&) = delete;
    Descriptors& operator=(const Descriptors&) = delete;

    const OneDnn& library;
    dnnl_memory_desc_t a = nullptr, b = nullptr, c = nullptr;
    dnnl_post_ops_t post_ops = nullptr;
    dnnl_primitive_attr_t attributes = nullptr;
    dnnl_primitive_desc_t description = nullptr;
  };

  struct Extents {
    dnnl_dims_t of;
  };
  void make_memory(dnnl_engine_t engine, dnnl_data_type_t type, dnnl_memory_desc_t* description,
                   dnnl_memory_t* memory, const Extents& sizes, const Extents& strides) {
    check(library_.memory_desc_create_with_strides(description, 2, sizes.of, type, strides.of),
          "describe a matrix");
    check(library_.memory_create(memory, *description, engine, DNNL_MEMORY_NONE),
          "make a memory object");
  }

  const OneDnn& library_;
  dnnl_memory_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
  dnnl_primitive_t primitive_ = nullptr;
};

class OneDnnGemm final : public Gemm {
 public:
  OneDnnGemm(const OneDnn& library, const KernelTable& kernels)
      : library_(library), kernels_(kernels) {
    check(library.engine_create(&engine_, dnnl_cpu, 0), "start");
    const dnnl_status_t status =
        library.stream_create(&stream_, engine_, dnnl_stream_default_flags);
    if (status != dnnl_success) library.engine_destroy(engine_);
    check(status, "make a stream");
  }
  ~OneDnnGemm() override {
    products_.clear();
    library_.stream_destroy(stream_);
    library_.engine_destroy(engine_);
  }
  OneDnnGemm(const OneDnnGemm&) = delete;
  OneDnnGemm& operator=(const OneDnnGemm&) = delete;

  void run(const GemmArgs& args) override { multiply(args); }
  void run(const Bf16GemmArgs& args) override { multiply(args); }
  void run(const PackedGemmArgs<float>&) override { refuse_packed(); }
  void run(const PackedGemmArgs<Bf16>&) override { refuse_packed(); }
  void run(const Bf16WeightGemmArgs& g) override {
    multiply_converted(g, rounded_, kernels_.round_bf16);
  }
  void run(const StoredWeightGemmArgs& g) override {
    multiply_converted(g, widened_, kernels_.widen_bf16);
  }

 private:
  static constexpr std::size_t kMostProducts = 1024;

  [[noreturn]] static void refuse_packed() {
    throw Error(ErrorParts{"oneDNN cannot read weights packed for native products", "", "",
                           "gemm onednn", ""});
  }

  /// Multiplies by B after `convert` has made it what A is.
  template <class T, class S>
  void multiply_converted(const GemmArgsOf<T, S>& g, AlignedBuffer<T>& converted,
                          void (*convert)(std::size_t n, const S* x, T* out)) {
    const std::int64_t rows = g.form == GemmForm::kNT ? g.n : g.k;
    const std::int64_t columns = g.form == GemmForm::kNT ? g.k : g.n;
    const auto size = static_cast<std::size_t>(rows * columns);
    if (converted.size() < size) converted = AlignedBuffer<T>(size);
    const MatrixView<T> b{converted.data(), columns};
    for (std::int64_t r = 0; r < rows; ++r) {
      convert(static_cast<std::size_t>(columns), g.b.row(r), b.row(r));
    }
    multiply<T>({g.form, g.m, g.n, g.k, g.a, b, g.c, g.accumulate});
  }

  template <class T>
  void multiply(const GemmArgsOf<T, T>& args) {
    const OneThread guard(library_);
    const CallKind kind(args);
    auto found = products_.find(kind);
    if (found == products_.end()) {
      // Training repeats a few dozen kinds; prompts of every length must not accumulate forever.
      if (products_.size() >= kMostProducts) products_.clear();
      found = products_.try_emplace(kind, library_, engine_, args).first;
    }
    found->second.run(stream_, args);
  }

  const OneDnn& library_;
  const KernelTable& kernels_;
  // These hold the weight in use.
  AlignedBuffer<Bf16> rounded_;
  AlignedBuffer<float> widened_;
  dnnl_engine_t engine_ = nullptr;
  dnnl_stream_t stream_ = nullptr;
  std::unordered_map<CallKind, Product, CallKindHash> products_;
};

}  // namespace

bool onednn_available() { return onednn().problem.empty(); }

bool onednn_takes_bf16() {
  return onednn_available() &&
         (onednn().get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

std::string describe_onednn() {
  const OneDnn& library = onednn();
  if (!library.problem.empty()) return "onednn not available: " + library.problem;
  const dnnl_version_t& version = *library.version();
  return "onednn " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch) + " " + onednn_isa_name(library.get_effective_cpu_isa());
}

std::unique_ptr<Gemm> make_onednn_gemm(const KernelTable& kernels) {
  if (!onednn_available()) {
    throw InputError(ErrorParts{"oneDNN is not available here", onednn().problem, "libdnnl.so.3",
                                "gemm onednn", kHint});
  }
  return std::make_unique<OneDnnGemm>(onednn(), kernels);
}

}  // namespace cllm

#else

namespace cllm {

bool onednn_available() { return false; }

bool onednn_takes_bf16() { return false; }

std::string describe_onednn() { return "onednn not available: left out of this build"; }

std::unique_ptr<Gemm> make_onednn_gemm(const KernelTable&) {
  throw InputError(ErrorParts{"oneDNN is not available here", describe_onednn(), "", "gemm onednn",
                              "pip install onednn-devel-cpu-gomp==2023.2.0 and build again, "
                              "or use native"});
}

}  // namespace cllm

#endif  // CLLM_ONEDNN
