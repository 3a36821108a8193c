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

  /// Holds the object until the end of a scope. Throws Error when another caller holds it.
  class Hold {
   public:
    Hold(InUse& object, const char* what) : object_(object) {
      unsigned long nobody = 0;
      const unsigned long self = PyThread_get_thread_ident();
      if (object_.holder_.compare_exchange_strong(nobody, self)) return;
      refuse(what,
             nobody == self ? "a callback of its own is running" : "another thread is using it");
    }
    ~Hold() { object_.holder_.store(0, std::memory_order_release); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    InUse& object_;
  };

 private:
  [[noreturn]] static void refuse(const char* what, const char* why) {
    throw Error({std::string(what) + " is in use", why, "one caller at a time", "", ""});
  }

  // The thread that enters and leaves writes it; it orders nothing else, because the GIL does that.
  std::atomic<unsigned long> holder_{0};
};

}  // namespace cllm::python
