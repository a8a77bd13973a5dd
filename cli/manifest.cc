#include "cli/manifest.h"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string_view>

#include "cli/printable.h"
#include "cli/resource_name.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "yaml-cpp/yaml.h"

namespace fsd::cli {
namespace {

// Deeper than any export, and far from what would exhaust the stack.
constexpr int kMaxDepth = 32;

struct ManifestError : std::runtime_error {
  ManifestError(const YAML::Mark& mark, const std::string& what)
      : std::runtime_error(":" + std::to_string(mark.line + 1) + ": " + what) {}
};

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string JsonString(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(value, &json);
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
  return json;
}

// A number as JSON has them, of a plain scalar; empty if it is none. YAML 1.2's 0o660 is octal;
// what begins with 0 otherwise is octal in YAML 1.1 and decimal in 1.2, and refused.
std::string JsonNumber(const std::string& text, const YAML::Mark& mark) {
  if (text.starts_with("0o")) {
    const std::string digits = text.substr(2);
    if (digits.empty() || digits.size() > 10 ||
        digits.find_first_not_of("01234567") != std::string::npos) {
      return "";
    }
    return std::to_string(std::stoul(digits, nullptr, 8));
  }
  const std::string_view unsigned_text =
      std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
  const size_t dot = unsigned_text.find('.');
  const std::string_view whole = unsigned_text.substr(0, dot);
  if (!IsDigits(whole)) return "";
  if (dot != std::string_view::npos && !IsDigits(unsigned_text.substr(dot + 1))) return "";
  if (whole.size() > 1 && whole.front() == '0') {
    throw ManifestError(mark, "'" + Printable(text) + "' could be octal or decimal; write 0o" +
                                  std::string(whole.substr(1)) +
                                  " for an octal number, or put text into quotes");
  }
  return text;
}

std::string ToJson(const YAML::Node& node, int depth);

std::string ScalarToJson(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  // yaml-cpp's mark of a scalar that stood in quotes or is a block.
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return JsonString(text);
  if (text == "true" || text == "false") return text;
  const std::string number = JsonNumber(text, node.Mark());
  return number.empty() ? JsonString(text) : number;
}

std::string MapToJson(const YAML::Node& node, int depth) {
  std::string json;
  std::vector<std::string> keys;
  for (const auto& entry : node) {
    const YAML::Node& key = entry.first;
    if (!key.IsScalar()) throw ManifestError(key.Mark(), "a field's name is no text");
    if (std::find(keys.begin(), keys.end(), key.Scalar()) != keys.end()) {
      throw ManifestError(key.Mark(), "'" + Printable(key.Scalar()) + "' is there twice");
    }
    keys.push_back(key.Scalar());
    json += (json.empty() ? "" : ",") + JsonString(key.Scalar()) + ":" +
            ToJson(entry.second, depth + 1);
  }
  return "{" + json + "}";
}

std::string ToJson(const YAML::Node& node, int depth) {
  if (depth > kMaxDepth) throw ManifestError(node.Mark(), "it is nested too deeply");
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return MapToJson(node, depth);
    case YAML::NodeType::Sequence: {
      std::string json;
      for (const YAML::Node& element : node) {
        json += (json.empty() ? "" : ",") + ToJson(element, depth + 1);
      }
      return "[" + json + "]";
    }
    case YAML::NodeType::Scalar:
      return ScalarToJson(node);
    default:
      return "null";
  }
}

v1::Export ReadExport(const YAML::Node& node) {
  if (!node.IsMap())
    throw ManifestError(node.Mark(), "an export is expected here, with its fields");
  v1::Export resource;
  const auto status = google::protobuf::util::JsonStringToMessage(ToJson(node, 0), &resource);
  if (!status.ok()) {
    throw ManifestError(node.Mark(),
                        "this is no export: " + Printable(std::string(status.message())));
  }
  if (resource.name().empty()) {
    throw ManifestError(node.Mark(), "the export has no name; give it one: name: exports/web");
  }
  resource.set_name(ResourceName(resource.name()));
  resource.clear_uid();
  resource.clear_etag();
  resource.clear_create_time();
  resource.clear_update_time();
  resource.clear_status();
  return resource;
}

void AddExport(const YAML::Node& node, std::vector<v1::Export>& exports) {
  v1::Export resource = ReadExport(node);
  if (std::any_of(exports.begin(), exports.end(),
                  [&](const v1::Export& other) { return other.name() == resource.name(); })) {
    throw ManifestError(node.Mark(), Printable(resource.name()) + " is described twice");
  }
  exports.push_back(std::move(resource));
}

void AddDocument(const YAML::Node& document, std::vector<v1::Export>& exports) {
  if (document.IsNull()) return;
  const YAML::Node list = document.IsMap() ? document["exports"] : document;
  if (!list || !list.IsSequence()) return AddExport(document, exports);
  for (const YAML::Node& element : list) AddExport(element, exports);
}

}  // namespace

std::string ReadManifest(const std::string& text, std::vector<v1::Export>& exports) {
  try {
    for (const YAML::Node& document : YAML::LoadAll(text)) AddDocument(document, exports);
  } catch (const ManifestError& error) {
    return error.what();
  } catch (const YAML::Exception& error) {
    return ":" + std::to_string(error.mark.line + 1) + ": " + error.msg;
  }
  return "";
}

}  // namespace fsd::cli
