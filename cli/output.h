// What fsctl prints on stdout: tables for people, JSON and names for programs.
#ifndef FSD_CLI_OUTPUT_H_
#define FSD_CLI_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/message.h"
#include "proto/fsd/v1/export.pb.h"
#include "proto/fsd/v1/server_service.pb.h"

namespace fsd::cli {

enum class Format { kTable, kJson, kName };

// Columns, aligned by two spaces; the first row is the heading.
std::string AlignedTable(const std::vector<std::vector<std::string>>& rows);

// "Name:    value" lines, aligned.
std::string AlignedFields(const std::vector<std::pair<std::string, std::string>>& fields);

// proto3's JSON mapping, indented, with fields that have their default value.
std::string Json(const google::protobuf::Message& message);
std::string JsonList(const std::vector<std::string>& strings);

std::string ExportTable(const std::vector<v1::Export>& exports);
std::string ExportFields(const v1::Export& resource);
// One export in any format.
std::string ExportText(const v1::Export& resource, Format format);
std::string ServerFields(const std::string& address, const v1::ServerInfo& info);

}  // namespace fsd::cli

#endif  // FSD_CLI_OUTPUT_H_
