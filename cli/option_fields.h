// The options of an export that differ from their defaults, for people.
#ifndef FSD_CLI_OPTION_FIELDS_H_
#define FSD_CLI_OPTION_FIELDS_H_

#include <string>
#include <utility>
#include <vector>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// Names, as those of create's options, and values, as create takes them; in create's order. The
// cache policy is not among them.
std::vector<std::pair<std::string, std::string>> OptionFields(const v1::Export& resource);

// The limits on requests on one line, without bursts: "read 1000 iops 10M/s, total 2000 iops".
// Empty if there are none.
std::string LimitsText(const v1::Qos& qos);

// "auto" of AUTO and of USE_AUTO if `prefix` is "USE_": how an enum's value is called on the
// command line. `name` as protobuf's …_Name gives it; "unknown" if it is empty, of a newer server.
std::string ChoiceName(const std::string& name, const std::string& prefix = "");

}  // namespace fsd::cli

#endif  // FSD_CLI_OPTION_FIELDS_H_
