// What fsctl prints on stdout: tables for people, JSON and names for programs.
#ifndef FSD_CLI_OUTPUT_H_
#define FSD_CLI_OUTPUT_H_

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/message.h"
#include "proto/fsd/v1/export.pb.h"
#include "proto/fsd/v1/server_service.pb.h"

namespace fsd::cli {

// kWide is kTable with more columns.
enum class Format { kTable, kWide, kJson, kYaml, kName };

// How to print.
struct Style {
  Format format = Format::kTable;
  bool headers = true;  // of tables
  bool color = false;
};

// Whether `format` is for people.
inline bool IsTable(Format format) { return format == Format::kTable || format == Format::kWide; }

enum class Color { kGreen, kYellow, kRed, kBold };

// `text` between the escape sequences of `color`; unchanged if `style` has no colours.
std::string Colored(std::string text, Color color, const Style& style);
// A state's name, in the colour of how good it is.
std::string StateText(v1::ExportStatus::State state, const Style& style);

// Columns, aligned by two spaces. Colours take no space.
std::string AlignedTable(const std::vector<std::vector<std::string>>& rows);

// "Name:    value" lines, aligned.
std::string AlignedFields(const std::vector<std::pair<std::string, std::string>>& fields);

// AlignedTable of `rows` below `heading`, unless the style leaves headings out.
std::string HeadedTable(std::vector<std::string> heading,
                        const std::vector<std::vector<std::string>>& rows, const Style& style);

// proto3's JSON mapping, indented, with fields that have their default value.
std::string Json(const google::protobuf::Message& message);
// The same on one line.
std::string JsonLine(const google::protobuf::Message& message);
// On one line, with the proto's names of fields, and those alone that are set.
std::string JsonOfSetFields(const google::protobuf::Message& message);
// Json, or the same as a YAML document, as `format` says.
std::string Structured(const google::protobuf::Message& message, Format format);
std::string JsonList(const std::vector<std::string>& strings);

// `now` for ages.
std::string ExportTable(const std::vector<v1::Export>& exports, const Style& style,
                        std::chrono::system_clock::time_point now);
std::string ExportFields(const v1::Export& resource, const Style& style);
// "a=1, b=2", by key; empty if there are none.
std::string LabelsText(const v1::Export& resource);
// In any format: a table for people, JSON or YAML of `message`, or what `names` it on a line each.
std::string Formatted(const google::protobuf::Message& message, const Style& style,
                      const std::function<std::string()>& table,
                      const std::function<std::string()>& names);
// One export in any format.
std::string ExportText(const v1::Export& resource, const Style& style);
// "above 1s", or "none" of a threshold of 0.
std::string SlowText(const google::protobuf::Duration& threshold);
std::string ServerFields(const std::string& address, const v1::ServerInfo& info);

// "5d", "3h", "12m", "40s": at most two digits and a unit, but for days.
std::string AgeText(std::chrono::seconds age);

}  // namespace fsd::cli

#endif  // FSD_CLI_OUTPUT_H_
