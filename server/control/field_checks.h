// FieldChecks: gathers what is wrong with one request, field by field.
//
// The functions that check a part of a request (cache_validation.h and its neighbours) take one and
// add to it; the request is answered with all of it.
#ifndef FSD_SERVER_CONTROL_FIELD_CHECKS_H_
#define FSD_SERVER_CONTROL_FIELD_CHECKS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "server/control/field_violation.h"

namespace fsd::control {

// Client's text in a message: escaped, in quotes, and no longer than is useful.
std::string Quoted(std::string_view text);

class FieldChecks {
 public:
  void Add(std::string field, v1::ErrorReason reason, std::string description) {
    violations_.push_back({std::move(field), reason, std::move(description)});
  }
  void Invalid(std::string field, std::string description) {
    Add(std::move(field), v1::FIELD_INVALID, std::move(description));
  }
  void Required(std::string field, std::string description) {
    Add(std::move(field), v1::FIELD_REQUIRED, std::move(description));
  }
  // At most `max_bytes`, no control characters (NUL is one).
  void Text(const std::string& field, std::string_view text, size_t max_bytes);

  FieldViolations& violations() { return violations_; }
  FieldViolations Take() { return std::move(violations_); }

 private:
  FieldViolations violations_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_FIELD_CHECKS_H_
