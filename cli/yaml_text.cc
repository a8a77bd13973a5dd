#include "cli/yaml_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "yaml-cpp/yaml.h"

namespace fsd::cli {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// True of what is the string itself to a reader of YAML 1.1 and of 1.2. Errs on the quoting side.
bool IsPlainString(const std::string& text) {
  constexpr std::string_view kAfterTheFirst = "_./-";
  // YAML 1.1 has booleans of many spellings.
  constexpr std::array<std::string_view, 9> kOtherTypes = {"y",   "n",    "yes",   "no",  "on",
                                                           "off", "true", "false", "null"};
  if (text.empty() || !(IsLetter(text[0]) || text[0] == '/' || text[0] == '_')) return false;
  const bool is_simple = std::all_of(text.begin(), text.end(), [&](char c) {
    return IsLetter(c) || (c >= '0' && c <= '9') ||
           kAfterTheFirst.find(c) != std::string_view::npos;
  });
  std::string lower = text;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return is_simple && std::find(kOtherTypes.begin(), kOtherTypes.end(), lower) == kOtherTypes.end();
}

void EmitString(const std::string& text, YAML::Emitter& out) {
  if (!IsPlainString(text)) out << YAML::DoubleQuoted;
  out << text;
}

void Emit(const YAML::Node& node, YAML::Emitter& out) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& entry : node) {
        out << YAML::Key;
        EmitString(entry.first.Scalar(), out);
        out << YAML::Value;
        Emit(entry.second, out);
      }
      out << YAML::EndMap;
      break;
    case YAML::NodeType::Sequence:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const YAML::Node& element : node) Emit(element, out);
      out << YAML::EndSeq;
      break;
    case YAML::NodeType::Scalar:
      // yaml-cpp's mark of a scalar that stood in quotes, which is every string of JSON.
      if (node.Tag() == "!") {
        EmitString(node.Scalar(), out);
      } else {
        out << node.Scalar();
      }
      break;
    default:
      out << YAML::Null;
  }
}

}  // namespace

std::string YamlDocument(const std::string& json) {
  YAML::Emitter out;
  Emit(YAML::Load(json), out);
  return std::string(out.c_str()) + "\n";
}

}  // namespace fsd::cli
