// How fsctl takes and prints translations of ids: virtiofsd's six forms, and ranges of a mount.
#ifndef FSD_CLI_ID_MAPPING_SYNTAX_H_
#define FSD_CLI_ID_MAPPING_SYNTAX_H_

#include <optional>
#include <string>
#include <string_view>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// For messages and help.
inline constexpr char kTranslationForms[] =
    "map:GUEST:HOST:COUNT, guest:GUEST:HOST:COUNT, host:HOST:GUEST:COUNT, "
    "squash-guest:GUEST:HOST_ID:COUNT, squash-host:HOST:GUEST_ID:COUNT, forbid-guest:GUEST:COUNT";

// One of those forms, with decimal numbers. Whether the ranges make sense is the server's to judge.
std::optional<v1::IdTranslation> ParseIdTranslation(std::string_view text);
// INSIDE:OUTSIDE:COUNT.
std::optional<v1::IdNamespaceRange> ParseIdRange(std::string_view text);

// What the functions above read.
std::string IdTranslationText(const v1::IdTranslation& translation);
std::string IdRangeText(const v1::IdNamespaceRange& range);

}  // namespace fsd::cli

#endif  // FSD_CLI_ID_MAPPING_SYNTAX_H_
