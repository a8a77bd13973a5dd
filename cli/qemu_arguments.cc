#include "cli/qemu_arguments.h"

#include <algorithm>

namespace fsd::cli {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// QEMU ends an option's value at a comma; a doubled one stands for itself.
std::string OptionValue(std::string_view text) {
  std::string value;
  for (const char c : text) value.append(c == ',' ? 2 : 1, c);
  return value;
}

bool IsShellSafe(char c) {
  constexpr std::string_view kSafe = "@%+=:,./-_";
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kSafe.find(c) != std::string_view::npos;
}

std::string ShellWord(const std::string& word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), IsShellSafe)) return word;
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace

std::vector<std::string> QemuArguments(const v1::Export& resource, const std::string& memory_size) {
  std::string device = "vhost-user-fs-pci,chardev=char0,tag=" + OptionValue(resource.tag());
  if (const uint32_t queues = resource.transport().request_queues(); queues > 1) {
    device += ",num-request-queues=" + std::to_string(queues);
  }
  std::string memory = "memory-backend-memfd,id=mem,size=" + memory_size + ",share=on";
  // What the worker touches first of the guest's memory would count as the worker's.
  if (resource.sandbox().limits().memory_bytes() != 0) memory += ",prealloc=on";
  return {
      "-chardev", "socket,id=char0,path=" + OptionValue(resource.socket().path()),
      "-device",  device,
      "-object",  memory,
      "-numa",    "node,memdev=mem",
  };
}

std::string ShellLine(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    line += ShellWord(argument);
  }
  return line;
}

bool IsMemorySize(std::string_view text) {
  constexpr std::string_view kUnits = "KMGTkmgt";
  if (!text.empty() && kUnits.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return !text.empty() && text.front() != '0' && std::all_of(text.begin(), text.end(), IsDigit);
}

}  // namespace fsd::cli
