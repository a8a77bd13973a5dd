#include "server/supervisor/export_state.h"

#include <array>
#include <cstddef>

namespace fsd::supervisor {
namespace {

constexpr size_t kStates = 8;

// kLegal[from][to]
constexpr std::array<std::array<bool, kStates>, kStates> kLegal = {{
    // CREATING LISTENING CONNECTED MOUNTED RECOVERING FAILED DELETING DRAINING
    {{false, true, true, true, true, true, true, true}},        // CREATING
    {{false, false, true, true, true, true, true, true}},       // LISTENING
    {{false, true, false, true, true, true, true, true}},       // CONNECTED
    {{false, true, true, false, true, true, true, true}},       // MOUNTED
    {{false, true, true, true, false, true, true, true}},       // RECOVERING
    {{false, false, false, false, true, false, true, false}},   // FAILED; RECOVERING: as told to
    {{false, false, false, false, false, true, false, false}},  // DELETING; FAILED: it could not be
    {{false, true, true, true, true, true, true, false}},       // DRAINING
}};

}  // namespace

std::string_view ExportStateName(ExportState state) {
  constexpr std::array<std::string_view, kStates> kNames = {"CREATING", "LISTENING",  "CONNECTED",
                                                            "MOUNTED",  "RECOVERING", "FAILED",
                                                            "DELETING", "DRAINING"};
  return kNames[static_cast<size_t>(state)];
}

bool IsLegalTransition(ExportState from, ExportState to) {
  return kLegal[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

}  // namespace fsd::supervisor
