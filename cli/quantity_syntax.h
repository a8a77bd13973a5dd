// Amounts as fsctl takes and prints them: bytes as "512M", processors as "0.5".
#ifndef FSD_CLI_QUANTITY_SYNTAX_H_
#define FSD_CLI_QUANTITY_SYNTAX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fsd::cli {

// Digits and perhaps K, M, G or T, also as KiB and so on, each 1024 times the one before; nothing
// else. Absent too if it is more than 64 bits hold.
std::optional<uint64_t> ParseBytes(std::string_view text);
// In the largest unit of which it is a whole number.
std::string BytesText(uint64_t bytes);

// A decimal number, perhaps with a fraction of at most six digits, as millionths.
std::optional<uint64_t> ParseMillionths(std::string_view text);
// What ParseMillionths reads, without superfluous zeros.
std::string MillionthsText(uint64_t millionths);

}  // namespace fsd::cli

#endif  // FSD_CLI_QUANTITY_SYNTAX_H_
