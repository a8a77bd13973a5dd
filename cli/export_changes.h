// What an update changes, for people and programs.
#ifndef FSD_CLI_EXPORT_CHANGES_H_
#define FSD_CLI_EXPORT_CHANGES_H_

#include <string>
#include <string_view>

#include "proto/fsd/v1/export_service.pb.h"

namespace fsd::cli {

// A line for each field of `update` that has changed: "  cache.attr_timeout: unset -> 5s (next
// connection)". `before` is the export as it was.
std::string ChangeLines(const v1::Export& before, const v1::UpdateExportResponse& update);

// The value of the field at `path`, on one line: "unset" if it has its default.
std::string FieldText(const v1::Export& resource, std::string_view path);

// "live", "next connection", "next mount".
std::string EffectText(v1::FieldEffect::Effect effect);

}  // namespace fsd::cli

#endif  // FSD_CLI_EXPORT_CHANGES_H_
