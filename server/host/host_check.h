// HostCheck: one thing that fsd uses of its host, whether the host has it, what it costs to lack it
// and what to do about that.
//
// Checks are functions of facts (host_facts.h), so that every answer can be had in a test.
#ifndef FSD_SERVER_HOST_HOST_CHECK_H_
#define FSD_SERVER_HOST_HOST_CHECK_H_

#include <string>
#include <vector>

#include "server/host/host_facts.h"

namespace fsd::host {

struct HostCheck {
  enum class Level {
    kOk,
    kWarning,  // exports work, with less than there could be
    kError,    // some or all exports cannot work
  };

  std::string check;    // UPPER_SNAKE_CASE, for programs
  std::string subject;  // which of several, as a source; else empty
  Level level = Level::kOk;
  std::string found;
  std::string cost;    // empty if kOk
  std::string remedy;  // empty if kOk
};

// Every check, always in the same order.
std::vector<HostCheck> CheckHost(const HostFacts& facts);

// For people: a line for each check, and below it what a lack costs and what to do.
std::string HostCheckTable(const std::vector<HostCheck>& checks);

}  // namespace fsd::host

#endif  // FSD_SERVER_HOST_HOST_CHECK_H_
