// DecimalNumber: refuses signs, hexadecimal digits and the like, some of which CLI11 takes (-1 as
// the greatest unsigned number).
#ifndef FSD_CLI_DECIMAL_NUMBER_H_
#define FSD_CLI_DECIMAL_NUMBER_H_

#include <string>

#include "CLI/CLI.hpp"

namespace fsd::cli {

// For CLI::Option::check of a number without sign.
inline CLI::Validator DecimalNumber() {
  return CLI::Validator(
      [](const std::string& text) {
        const bool is_number =
            !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        return is_number ? std::string() : "'" + text + "' is no number";
      },
      "");
}

}  // namespace fsd::cli

#endif  // FSD_CLI_DECIMAL_NUMBER_H_
