// Rules for the names of extended attributes, in the syntax of virtiofsd's --xattrmap.
//
// A map is rules with or without white space between them. A rule is fields, each ended by the
// rule's separator, which is its own first character:
//
//   :TYPE:SCOPE:KEY:PREPEND:     TYPE prefix, ok, bad or unsupported; SCOPE client, server or all
//   :map:KEY:PREPEND:            only as the last rule
//
// What the rules mean is told in export.proto, XattrRule.
#ifndef FSD_CLI_XATTR_MAP_SYNTAX_H_
#define FSD_CLI_XATTR_MAP_SYNTAX_H_

#include <string>
#include <string_view>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

using XattrRules = google::protobuf::RepeatedPtrField<v1::XattrRule>;

// Fills `rules`. Returns what is wrong and where, for people; empty if nothing is.
std::string ParseXattrMap(std::string_view text, XattrRules& rules);

// A map that ParseXattrMap reads as these rules.
std::string XattrMapText(const XattrRules& rules);

}  // namespace fsd::cli

#endif  // FSD_CLI_XATTR_MAP_SYNTAX_H_
