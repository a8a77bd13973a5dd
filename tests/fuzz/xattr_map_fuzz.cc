// A map of extended attributes as an operator may write it, and names that guest and host may have.
//
// The input's first line is the map, each further one a name (lines end with NUL).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/passthrough/xattr_map.h"
#include "cli/xattr_map_syntax.h"
#include "google/protobuf/stubs/logging.h"
#include "server/errors/check.h"

namespace {

using fsd::passthrough::XattrMap;
using fsd::passthrough::XattrName;
using fsd::passthrough::XattrRule;

XattrRule RuleOf(const fsd::v1::XattrRule& wanted) {
  XattrRule rule{.key = wanted.key(), .prepend = wanted.prepend()};
  switch (wanted.type()) {
    case fsd::v1::XattrRule::PREFIX:
      rule.type = XattrRule::Type::kPrefix;
      break;
    case fsd::v1::XattrRule::OK:
      rule.type = XattrRule::Type::kOk;
      break;
    case fsd::v1::XattrRule::UNSUPPORTED:
      rule.type = XattrRule::Type::kUnsupported;
      break;
    case fsd::v1::XattrRule::MAP:
      rule.type = XattrRule::Type::kMap;
      break;
    default:
      rule.type = XattrRule::Type::kBad;
  }
  if (wanted.scope() == fsd::v1::XattrRule::CLIENT) rule.scope = XattrRule::Scope::kClient;
  if (wanted.scope() == fsd::v1::XattrRule::SERVER) rule.scope = XattrRule::Scope::kServer;
  return rule;
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\0'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// Printed, a map reads as the same map.
void CheckPrinted(const fsd::cli::XattrRules& rules) {
  fsd::cli::XattrRules again;
  FSD_CHECK(fsd::cli::ParseXattrMap(fsd::cli::XattrMapText(rules), again).empty());
  FSD_CHECK(again.size() == rules.size());
  for (int i = 0; i < rules.size(); ++i) {
    FSD_CHECK(again[i].SerializeAsString() == rules[i].SerializeAsString());
  }
}

void CheckName(const XattrMap& map, std::string_view name) {
  const fsd::ErrnoOr<XattrName> host = map.ToHost(name);
  if (host.ok()) {
    const std::string_view made(host->c_str());
    FSD_CHECK(!made.empty() && made.size() <= XattrName::kMaxBytes);
    FSD_CHECK(made.ends_with(name));
  } else {
    const int error = host.error().value();
    FSD_CHECK(error == EPERM || error == EOPNOTSUPP || error == ERANGE || error == EINVAL);
  }
  if (const std::optional<std::string_view> guest = map.ToGuest(name)) {
    FSD_CHECK(name.ends_with(*guest));
    FSD_CHECK(guest->empty() == name.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // of text that is no UTF-8, a line each
  std::string_view text(reinterpret_cast<const char*>(data), size);
  fsd::cli::XattrRules parsed;
  const std::string problem = fsd::cli::ParseXattrMap(TakeLine(text), parsed);
  std::vector<XattrRule> rules;
  if (problem.empty()) {
    CheckPrinted(parsed);
    for (const fsd::v1::XattrRule& rule : parsed) rules.push_back(RuleOf(rule));
  }
  const XattrMap map(std::move(rules));
  CheckName(map, text);  // with NULs in it
  while (!text.empty()) CheckName(map, TakeLine(text));
  return 0;
}
