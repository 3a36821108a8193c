// InUse checks that one thread at a time uses an object, because Python threads may share the
// engine's objects.
#pragma once

#include <atomic>
#include <string>

#include "bindings.h"
#include "cllm/error.h"

namespace cllm::python {

/// Says which thread is inside an object now; 0: none.
class InUse {
 public:
  unsigned long holder() const noexcept { return holder_.load(std::memory_order_acquire); }

  /// Holds the object while it is read. The holder itself may read too, because its callbacks run
  /// between two steps. Throws Error when another thread uses the object.
  class Reading {
   public:
    Reading(InUse& object, const char* what) : object_(object) {
      unsigned long nobody = 0;
      const unsigned long self = PyThread_get_thread_ident();
      entered_ = object_.holder_.compare_exchange_strong(nobody, self);
      if (!entered_ && nobody != self) refuse(what, "another thread is using it");
    }
    ~Reading() {
      if (entered_) object_.holder_.store(0, std::memory_order_release);
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    InUse& object_;
    bool entered_;
  };

  /// Says who else may hold the object while it is held.
  enum class Also { kNobody, kCallbacks };

  /// Holds the object until the end of a scope. With kCallbacks, callbacks of the holder may hold
  /// it too, one at a time, where the holder says that it rests. Throws Error when another caller
  /// holds it.
  class Hold {
   public:
    Hold(InUse& object, const char* what, Also also = Also::kNobody, const char* hint = "")
        : object_(object) {
      unsigned long nobody = 0;
      const unsigned long self = PyThread_get_thread_ident();
      if (object_.holder_.compare_exchange_strong(nobody, self)) return;
      if (nobody != self) refuse(what, "another thread is using it");
      if (also == Also::kNobody || !object_.rests_) {
        refuse(what, "a callback of its own is running", hint);
      }
      inner_ = true;
      object_.rests_ = false;
    }
    ~Hold() {
      if (inner_) {
        object_.rests_ = true;
      } else {
        object_.holder_.store(0, std::memory_order_release);
      }
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    InUse& object_;
    bool inner_ = false;
  };

  /// Says that the holder rests until the end of a scope, so that its callbacks may use the object.
  class Rest {
   public:
    explicit Rest(InUse& object) : object_(object) { object_.rests_ = true; }
    ~Rest() { object_.rests_ = false; }
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;

   private:
    InUse& object_;
  };

 private:
  [[noreturn]] static void refuse(const char* what, const char* why, const char* hint = "") {
    throw Error({std::string(what) + " is in use", why, "one caller at a time", "", hint});
  }

  // The thread that enters and leaves writes it; it orders nothing else, because the GIL does that.
  std::atomic<unsigned long> holder_{0};
  bool rests_ = false;  // the holder's thread alone looks at it
};

}  // namespace cllm::python
