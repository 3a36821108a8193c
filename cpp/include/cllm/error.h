// An error that reaches a user says what is wrong, the value seen, the value wanted, where, and a
// hint.
#pragma once

#include <stdexcept>
#include <string>

namespace cllm {

/// Holds the parts of a message; empty parts are left out.
struct ErrorParts {
  std::string what;    ///< what is wrong, a sentence without a full stop
  std::string seen;    ///< the value found
  std::string wanted;  ///< the values that would be accepted
  std::string where;   ///< option, file, line or key
  std::string hint;    ///< what to try
};

/// Any failure of the library is an Error. It is thrown only at construction, at I/O and at the
/// API's edge.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what) : std::runtime_error(what) {}
  explicit Error(const ErrorParts& parts) : std::runtime_error(format(parts)) {}

  /// Returns "WHERE: WHAT: got SEEN, expected WANTED (HINT)" on one line. SEEN, WANTED and WHERE
  /// are cut to 200 bytes each, in which control characters are escaped.
  static std::string format(const ErrorParts& parts);
};

/// Means bad usage or bad input: nothing was written, and tools exit with code 2.
class InputError : public Error {
 public:
  using Error::Error;
};

}  // namespace cllm
