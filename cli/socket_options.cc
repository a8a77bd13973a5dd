#include "cli/socket_options.h"

#include <cstdint>
#include <string>

#include "cli/decimal_number.h"

namespace fsd::cli {
namespace {

// "0660" as a mode; a CLI::ValidationError if it is not one.
uint32_t ParseMode(const std::string& text) {
  size_t used = 0;
  unsigned long mode = 0;
  if (!text.empty() && text.find_first_not_of("01234567") == std::string::npos &&
      text.size() <= 5) {
    mode = std::stoul(text, &used, 8);
  }
  if (used == 0) {
    throw CLI::ValidationError("--socket-mode", "'" + text + "' is no octal mode such as 0660");
  }
  return static_cast<uint32_t>(mode);
}

}  // namespace

void AddSocketAccessOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  constexpr char kGroup[] = "Socket";
  command
      .add_option_function<uint32_t>(
          "--socket-uid", [resource](uint32_t uid) { resource->mutable_socket()->set_uid(uid); },
          "The socket's owner (0)")
      ->check(DecimalNumber())
      ->group(kGroup);
  command
      .add_option_function<uint32_t>(
          "--socket-gid", [resource](uint32_t gid) { resource->mutable_socket()->set_gid(gid); },
          "The socket's group (0)")
      ->check(DecimalNumber())
      ->group(kGroup);
  command
      .add_option_function<std::string>(
          "--socket-mode",
          [resource](const std::string& text) {
            resource->mutable_socket()->set_mode(ParseMode(text));
          },
          "The socket's permissions (0600)")
      ->type_name("OCTAL")
      ->group(kGroup);
}

}  // namespace fsd::cli
